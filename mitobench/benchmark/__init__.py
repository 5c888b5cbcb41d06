"""Predictions in, records and the leaderboard out. Which dataset or model it was is not known here."""
