/* mitobench: the ranking table: columns of a preset, ranks and values of a question that was asked again, order. */
((mitobench) => {
  "use strict";

  const FIXED = new Set(["rank", "name", "object_score", "blind", "gain", "iou", "status"]);

  mitobench.table = (table) => {
    const head = table.tHead.rows[0];
    const heads = () => [...head.cells];
    const place = (key) => heads().findIndex((one) => one.dataset.key === key);
    const groups = [...table.tBodies].map((body) => {
      const rows = [...body.rows].filter((row) => row.dataset.kind !== undefined);
      for (const row of rows) {
        row.dataset.rank = mitobench.raw(row.cells[0]) || "–";
        row.mbRank = [...row.cells[0].childNodes];
        row.dataset.entry = mitobench.entry(row);
      }
      return { body, rows, track: body.dataset.track, data: body.dataset.data };
    });
    const rows = groups.flatMap((group) => group.rows);
    const home = heads().map((one) => one.dataset.key);

    const insert = (at, made, column, cell) => {
      const top = document.createElement("th");
      top.scope = "col";
      top.dataset.key = column.key;
      top.dataset.first = column.first;
      top.dataset.made = made;
      const button = document.createElement("button");
      button.type = "button";
      button.title = column.tip;
      const arrow = document.createElement("span");
      arrow.className = "mb-arrow";
      arrow.setAttribute("aria-hidden", "true");
      button.append(column.label, arrow);
      top.append(button);
      head.insertBefore(top, heads()[at] ?? null);
      for (const group of groups) {
        for (const row of group.rows) {
          const made_cell = row.insertCell(at);
          made_cell.dataset.made = made;
          cell(made_cell, row, group);
        }
      }
    };

    const remove = (made) => table.querySelectorAll(`[data-made="${made}"]`).forEach((cell) => cell.remove());

    /* Shows the columns of a preset: {keys, columns: {key: {label, tip, first, digits}}, rows: {id: values}}, or all at home. */
    const preset = (wanted, scores) => {
      remove("preset");
      const show = new Set(wanted);
      home.forEach((key) => {
        const at = place(key);
        const hide = wanted.length > 0 && !FIXED.has(key) && !show.has(key);
        for (const cell of [heads()[at], ...rows.map((row) => row.cells[at])]) cell.classList.toggle("mb-away", hide);
      });
      let at = place("pq") + 1;
      for (const key of wanted.filter((one) => !home.includes(one) && scores?.columns[one])) {
        const column = { key, ...scores.columns[key] };
        const from = scores.keys.indexOf(key);
        insert(at++, "preset", column, (cell, row, group) =>
          mitobench.fill(cell, scores.rows[id(row, group)]?.[from] ?? null, column.digits),
        );
      }
      spans();
    };

    /* More digits than the page shows, of the metrics on it; true when they have just come. */
    let digits = false;
    const exact = async () => {
      if (digits) return false;
      const scores = await mitobench.load("scores").catch(() => null);
      if (!scores || digits) return false;
      digits = true;
      for (const key of home.filter((one) => scores.keys.includes(one))) {
        const [at, from] = [place(key), scores.keys.indexOf(key)];
        for (const group of groups) {
          for (const row of group.rows) row.cells[at].dataset.value = scores.rows[id(row, group)]?.[from] ?? "";
        }
      }
      return true;
    };

    const id = (row, group) => `${row.dataset.entry}|${group.track}|${group.data}`;

    /* A column of values that were computed here, and the ranks that follow from it; null takes both away. */
    const asked = (column, value) => {
      remove("asked");
      for (const row of rows) row.cells[0].replaceChildren(...row.mbRank);
      table.classList.toggle("mb-asked", column !== null);
      if (column === null) return spans();
      insert(place("name") + 1, "asked", column, (cell, row, group) => {
        cell.className = "mb-answer";
        mitobench.fill(cell, value(row, group), 3);
      });
      const at = place(column.key);
      for (const group of groups) {
        const ranked = group.rows.filter((row) => /^\d+$/.test(row.dataset.rank));
        const values = ranked.map((row) => mitobench.value(row.cells[at]));
        ranked.forEach((row, k) => {
          const better = values.filter((other) => other !== null && other > values[k]).length;
          row.cells[0].textContent = values[k] === null ? "–" : String(1 + better);
        });
      }
      spans();
    };

    const spans = () => {
      for (const group of groups) group.body.rows[0].cells[0].colSpan = heads().length;
    };

    /* Orders every group by a key with "-" in front when descending; "" gives the order of the page back. */
    const order = (sort) => {
      const down = sort.startsWith("-");
      const at = place(down ? sort.slice(1) : sort);
      heads().forEach((one, k) => {
        if (k === at) one.setAttribute("aria-sort", down ? "descending" : "ascending");
        else one.removeAttribute("aria-sort");
      });
      for (const { body, rows: original } of groups) {
        const by = (a, b) => mitobench.compare(mitobench.value(a.cells[at]), mitobench.value(b.cells[at]), down ? -1 : 1);
        body.append(...(at < 0 ? original : [...original].sort(by)));
      }
    };

    /* Whether a column is out of sight: left out by a preset, or about prompts where no row was given any. */
    const away = (one) =>
      one.classList.contains("mb-away") || (one.classList.contains("mb-prompted") && table.closest("[data-mb-view=plain]") !== null);

    /* Heads and raw values of the rows shown, for a file. */
    const view = () => {
      const shown = heads().map((one, at) => [one, at]).filter(([one]) => !away(one));
      const lines = [];
      for (const { body, track, data } of groups) {
        if (body.hidden) continue;
        for (const row of body.rows) {
          if (row.dataset.entry === undefined || row.hidden) continue;
          const cell = (one, at) =>
            one.dataset.key === "name" ? row.cells[at].querySelector("a").textContent : mitobench.raw(row.cells[at]);
          lines.push([track, data, row.dataset.entry, ...shown.map(([one, at]) => cell(one, at))]);
        }
      }
      return { heads: ["track", "dataset", "entry", ...shown.map(([one]) => one.dataset.key)], lines };
    };

    return { heads, away, groups, rows, preset, asked, order, view, place, exact };
  };
})((globalThis.mitobench ??= {}));
