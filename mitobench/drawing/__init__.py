"""What whoever shows something needs: pictures of slices, and free text made safe. No page is laid out here."""
