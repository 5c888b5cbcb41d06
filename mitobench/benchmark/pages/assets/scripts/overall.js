/* mitobench: entries across datasets, a weighted mean that is ranked again when a weight or the question changes. */
((mitobench) => {
  "use strict";

  /* root: a table whose rows hold one cell per dataset; value(entry, data) gives a score or null. */
  mitobench.overall = (root) => {
    const head = root.tHead.rows[0];
    const body = root.tBodies[0];
    const rows = [...body.rows];
    const columns = [...head.cells].filter((cell) => cell.dataset.data !== undefined);
    for (const row of rows) row.dataset.entry = mitobench.entry(row);
    const inputs = columns.map((cell) => {
      const field = document.createElement("input");
      field.type = "number";
      field.min = "0";
      field.max = "99";
      field.step = "any";
      field.value = "1";
      field.name = "weight";
      field.className = "mb-weight";
      field.setAttribute("aria-label", `Weight of ${cell.dataset.data}`);
      cell.append(field);
      return field;
    });
    const weights = () => inputs.map((field) => Math.min(99, Math.max(0, Number(field.value) || 0)));

    const update = (value) => {
      const found = rows.map((row) => {
        const scores = columns.map((cell) => value(row.dataset.entry, cell.dataset.data));
        columns.forEach((cell, at) => mitobench.fill(row.cells[cell.cellIndex], scores[at], 3));
        return { row, mean: mitobench.mean(scores, weights()) };
      });
      for (const { row, mean } of found) {
        const ranked = row.dataset.ranked === "yes" && mean !== null;
        const better = found.filter((other) => other.row.dataset.ranked === "yes" && other.mean !== null && other.mean > mean);
        row.cells[0].textContent = ranked ? String(1 + better.length) : "–";
        mitobench.fill(row.cells[2], mean, 3);
      }
      found.sort((a, b) => mitobench.compare(a.mean, b.mean, -1));
      body.append(...found.map(({ row }) => row));
    };

    const view = () => ({
      heads: ["rank", "name", "mean", ...columns.map((cell) => cell.dataset.data)],
      lines: [...body.rows].map((row) => {
        const cells = [row.cells[2], ...columns.map((cell) => row.cells[cell.cellIndex])].map(mitobench.raw);
        return [row.cells[0].textContent, row.cells[1].querySelector("a").textContent, ...cells];
      }),
    });

    /* "2,1,0" in the order of the columns; "" when all weigh the same. */
    const state = () => (weights().every((weight) => weight === 1) ? "" : weights().join(","));
    const restore = (text) => text.split(",").forEach((weight, at) => inputs[at] && (inputs[at].value = weight === "" ? "1" : weight));

    return { track: root.dataset.track, inputs, update, view, state, restore, entries: () => [...body.rows].map((row) => row.dataset.entry) };
  };
})((globalThis.mitobench ??= {}));
