/* mitobench: sorts and hides what is already on the page. No network, no markup from data, safe to run twice. */
(() => {
  "use strict";

  const DEFAULTS = { data: "", find: "", sort: "", controls: true };

  /* What a cell holds: its unrounded value where it has one, else its words; "" where there is nothing. */
  const rawOf = (cell) => cell.dataset.value ?? (cell.querySelector(".mb-none") ? "" : cell.textContent);

  /* The same as a number, a word, or null. */
  const valueOf = (row, place) => {
    const raw = rawOf(row.cells[place]);
    if (raw === "") return null;
    const number = Number(raw);
    return Number.isNaN(number) ? raw : number;
  };

  /* Missing values stay last whichever way the rest is sorted. */
  const compare = (one, other, sign) => {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * String(one).localeCompare(String(other));
  };

  const board = (root) => {
    if (root.dataset.mbReady) return;
    root.dataset.mbReady = "yes";
    const form = root.querySelector("[data-mb-controls]");
    const table = root.querySelector("table");
    const heads = [...table.tHead.rows[0].cells];
    const groups = [...table.tBodies];
    const figures = [...root.querySelectorAll("figure[data-track]")];
    const count = root.querySelector("[data-mb-count]");
    const sorter = root.querySelector("[data-mb-sort]");
    const csv = document.querySelector("[data-mb-csv]");
    const rowsOf = (group) => [...group.rows].filter((row) => row.dataset.kind !== undefined);
    const original = new Map(groups.map((group) => [group, rowsOf(group)]));
    const tracks = [...form.querySelectorAll("[name=track]")];
    const firstTrack = tracks[0].value;
    const chosen = () => tracks.find((tab) => tab.checked).value;
    let sort = "";

    for (const head of heads) {
      for (const sign of head.dataset.first === "asc" ? ["", "-"] : ["-", ""]) {
        const key = sign + head.dataset.key;
        const label = head.textContent + (sign ? " ↓" : " ↑");
        sorter.append(new Option(label, key));
      }
    }
    sorter.prepend(new Option("as ranked", ""));
    sorter.value = "";

    const read = () => {
      const asked = new URLSearchParams(location.search);
      const track = tracks.find((tab) => tab.value === asked.get("track")) ?? tracks[0];
      track.checked = true;
      form.elements.data.value = asked.get("data") ?? "";
      if (form.elements.data.selectedIndex < 0) form.elements.data.value = "";
      form.elements.find.value = asked.get("find") ?? "";
      form.elements.controls.checked = asked.get("controls") !== "no";
      sort = asked.get("sort") ?? "";
      if (![...sorter.options].some((option) => option.value === sort)) sort = "";
    };

    const write = () => {
      const state = new URLSearchParams(location.search);
      const put = (key, value, usual) => {
        state.delete(key); // so that the same view always has the same address
        if (value !== usual) state.append(key, value);
      };
      put("track", chosen(), firstTrack);
      put("data", form.elements.data.value, DEFAULTS.data);
      put("find", form.elements.find.value.trim(), DEFAULTS.find);
      put("controls", form.elements.controls.checked ? "yes" : "no", "yes");
      put("sort", sort, DEFAULTS.sort);
      const query = state.toString();
      try {
        history.replaceState(history.state, "", location.pathname + (query ? "?" + query : "") + location.hash);
      } catch {
        /* some browsers refuse this for files; the page works without */
      }
    };

    const order = () => {
      const down = sort.startsWith("-");
      const key = down ? sort.slice(1) : sort;
      const place = heads.findIndex((head) => head.dataset.key === key);
      heads.forEach((head, at) => {
        if (at === place) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      sorter.value = sort;
      for (const [group, rows] of original) {
        const sorted = place < 0 ? rows : [...rows].sort((a, b) => compare(valueOf(a, place), valueOf(b, place), down ? -1 : 1));
        group.append(...sorted);
      }
    };

    const filter = () => {
      const track = chosen();
      const data = form.elements.data.value;
      const words = form.elements.find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      let total = 0;
      for (const [group, rows] of original) {
        const inTrack = group.dataset.track === track;
        const inView = inTrack && (data === "" || group.dataset.data === data);
        let left = 0;
        for (const row of rows) {
          const fits =
            (form.elements.controls.checked || row.dataset.kind !== "control") &&
            words.every((word) => row.dataset.words.includes(word));
          row.hidden = !fits;
          left += fits;
        }
        group.hidden = !inView || left === 0;
        if (inTrack) total += rows.length;
        if (inView) shown += left;
      }
      for (const figure of figures) {
        figure.hidden = figure.dataset.track !== track || (data !== "" && figure.dataset.data !== data);
      }
      const prompted = groups.some((group) => !group.hidden && group.querySelector("td.mb-prompted:not(.mb-blank)"));
      root.dataset.mbView = prompted ? "prompted" : "plain";
      count.textContent = `${shown} of ${total} rows in this track`;
      if (total > shown) {
        const hidden = document.createElement("b");
        hidden.textContent = `, ${total - shown} hidden`;
        count.append(hidden);
      }
    };

    const update = () => {
      order();
      filter();
      write();
    };

    const setSort = (key) => {
      sort = key;
      update();
    };

    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head || !event.target.closest("button")) return;
      const up = head.dataset.key;
      const down = "-" + up;
      const turns = head.dataset.first === "asc" ? [up, down] : [down, up];
      setSort(sort === turns[0] ? turns[1] : sort === turns[1] ? "" : turns[0]);
    });
    sorter.addEventListener("change", () => setSort(sorter.value));
    form.addEventListener("input", (event) => event.target !== sorter && update());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      sort = "";
      setTimeout(update);
    });
    addEventListener("popstate", () => {
      read();
      update();
    });

    if (csv) {
      csv.hidden = false;
      csv.addEventListener("click", () => download(asCsv(heads, original)));
    }
    form.hidden = false;
    read();
    update();
  };

  /* A field that a spreadsheet would run as a formula gets a leading apostrophe. */
  const csvCell = (raw) => {
    let text = String(raw).replace(/\s+/g, " ").trim();
    if (/^[=+\-@|%]/.test(text) && Number.isNaN(Number(text))) text = "'" + text;
    return /[",;\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };

  const asCsv = (heads, groups) => {
    const lines = [["track", "dataset", ...heads.map((head) => head.dataset.key)]];
    for (const [group] of groups) {
      if (group.hidden) continue;
      for (const row of group.rows) {
        if (row.dataset.kind === undefined || row.hidden) continue;
        const cells = [...row.cells].map((cell, place) =>
          heads[place].dataset.key === "name" ? cell.querySelector("a").textContent : rawOf(cell),
        );
        lines.push([group.dataset.track, group.dataset.data, ...cells]);
      }
    }
    return lines.map((line) => line.map(csvCell).join(",")).join("\n") + "\n";
  };

  const download = (text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "mitobench-leaderboard.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const slider = (root) => {
    if (root.dataset.mbReady) return;
    root.dataset.mbReady = "yes";
    const handle = root.querySelector("input");
    const move = () => root.style.setProperty("--mb-at", handle.value + "%");
    handle.hidden = false;
    handle.addEventListener("input", move);
    move();
  };

  const start = () => {
    document.querySelectorAll("[data-mb-board]").forEach(board);
    document.querySelectorAll("[data-mb-compare]").forEach(slider);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
