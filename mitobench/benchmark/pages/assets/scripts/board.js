/* mitobench: the leaderboard: what the controls say, what is shown, and the address that brings the same view back. */
((mitobench) => {
  "use strict";

  const PUBLISHED = { ask: "", percent: "50", small: "0", faces: true };
  const WORDS = { iou: "IoU", f1: "F1", seg_acc: "Object accuracy", pq: "PQ" };

  mitobench.board = (root) => {
    if (root.dataset.mbReady) return;
    root.dataset.mbReady = "yes";
    const form = root.querySelector("[data-mb-controls]");
    const field = form.elements;
    const [ranking, ...others] = root.querySelectorAll("table.mb-ranking");
    for (const other of others) {
      ranking.append(...other.tBodies);
      other.closest(".mb-scroll").remove();
    }
    ranking.closest(".mb-scroll").setAttribute("aria-label", "Leaderboard table");
    const table = mitobench.table(ranking);
    const across = [...root.querySelectorAll("table.mb-overall")].map(mitobench.overall);
    const figures = [...root.querySelectorAll("figure[data-track]")];
    const count = root.querySelector("[data-mb-count]");
    const said = root.querySelector("[data-mb-said]");
    const tracks = [...form.querySelectorAll("[name=track]")];
    const tabs = { value: () => tracks.find((tab) => tab.checked).value };
    const one = (group, row) => `${row.dataset.entry}|${group.track}|${group.data}`;
    let sort = "";
    let answers = new Map(); // of the question asked last
    let turn = 0;

    /* ------------------------------------------------------------ address */

    const chosen = (name) => (field[name].type === "checkbox" ? (field[name].checked ? "yes" : "no") : field[name].value.trim());
    const USUAL = { view: "", data: "", find: "", show: "", status: "", learnt: "", prompts: "", open: "no", controls: "yes" };
    const USUAL_ASK = { ask: "", percent: "50", small: "0", faces: "yes" };
    const usual = { ...USUAL, ...USUAL_ASK };
    const named = Object.keys(usual).filter((name) => field[name]);

    const read = () => {
      const asked = new URLSearchParams(location.search);
      (tracks.find((tab) => tab.value === asked.get("track")) ?? tracks[0]).checked = true;
      for (const name of named) {
        const value = asked.get(name) ?? usual[name];
        if (field[name].type === "checkbox") field[name].checked = value === "yes";
        else field[name].value = value;
        if (field[name].selectedIndex < 0) field[name].value = usual[name];
      }
      if (field.small && !/^\d{1,9}$/.test(field.small.value)) field.small.value = "0";
      for (const part of across) part.restore(part.track === tabs.value() ? (asked.get("weights") ?? "") : "");
      sort = asked.get("sort") ?? "";
    };

    const write = () => {
      const state = new URLSearchParams(location.search);
      const put = (key, value, otherwise) => {
        state.delete(key); // so that the same view always has the same address
        if (value !== otherwise) state.append(key, value);
      };
      put("track", tabs.value(), tracks[0].value);
      for (const name of named) put(name, chosen(name), usual[name]);
      put("weights", across.find((part) => part.track === tabs.value())?.state() ?? "", "");
      put("sort", sort, "");
      const query = state.toString();
      try {
        history.replaceState(history.state, "", location.pathname + (query ? "?" + query : "") + location.hash);
      } catch {
        /* some browsers refuse this for files; the page works without */
      }
    };

    /* ------------------------------------------------------------ what is asked */

    const question = () => {
      if (!field.ask) return null;
      const asked = {
        key: chosen("ask") || (chosen("percent") === "50" ? "iou" : "f1"),
        percent: Number(chosen("percent")),
        small: Math.max(0, Number(chosen("small")) || 0),
        faces: field.faces.checked,
      };
      const same = Object.entries(PUBLISHED).every(([name, value]) => (name === "faces" ? field.faces.checked : chosen(name)) === value);
      return same ? null : asked;
    };

    const title = (asked) => WORDS[asked.key] + (asked.key === "iou" ? "" : ` @ ${(asked.percent / 100).toFixed(2)}`);

    const sentence = (asked) => {
      const parts = [`Ranked again in this browser by ${title(asked)}`];
      if (asked.small > 1) parts.push(`without objects under ${asked.small} voxels`);
      if (!asked.faces) parts.push("without objects that touch a face of the volume");
      return parts.join(", ") + ". Intervals, ties and the official ranks belong to the published question.";
    };

    const answer = async () => {
      const mine = ++turn;
      const asked = question();
      answers = new Map();
      said.textContent = asked ? "Reading overlap tables…" : "";
      if (!asked) {
        table.asked(null);
        return;
      }
      const groups = table.groups.filter((group) => group.track === tabs.value());
      let parts = [];
      try {
        parts = await Promise.all(groups.map((group) => mitobench.load(`overlaps.${group.track}.${group.data}`)));
        await mitobench.load("ask");
      } catch (error) {
        if (mine === turn) said.textContent = `The tables could not be read: ${error.message}.`;
        return;
      }
      if (mine !== turn) return;
      groups.forEach((group, at) => {
        for (const row of group.rows) {
          const seeds = parts[at]?.[row.dataset.entry];
          answers.set(one(group, row), seeds ? mitobench.ask(seeds, asked, asked.key) : null);
        }
      });
      const tip = "Computed here, from the overlap tables of the records.";
      const column = { key: "asked", label: title(asked), first: "desc", tip };
      table.asked(column, (row, group) => answers.get(one(group, row)) ?? null);
      said.textContent = sentence(asked);
      if (sort === "") sort = "-asked";
    };

    const showColumns = async () => {
      const wanted = field.show && chosen("show") !== "" ? field.show.selectedOptions[0].dataset.keys.split(" ") : [];
      try {
        table.preset(wanted, wanted.length ? await mitobench.load("scores") : null);
      } catch (error) {
        said.textContent = `The other columns could not be read: ${error.message}.`;
      }
    };

    /* ------------------------------------------------------------ what is shown */

    const wordsOf = new Map(); // what a row can be found by
    for (const group of table.groups) {
      for (const row of group.rows) {
        wordsOf.set(row, [row.textContent, row.dataset.entry, row.dataset.kind, group.data].join(" ").toLowerCase());
      }
    }

    const fits = (row) => {
      const words = chosen("find").toLowerCase().split(/\s+/).filter(Boolean);
      const wants = (name) => !field[name] || chosen(name) === "" || row.dataset[name] === chosen(name);
      return (
        (field.controls.checked || row.dataset.kind !== "control") &&
        (!field.open?.checked || row.dataset.open === "yes") &&
        ["status", "learnt", "prompts"].every(wants) &&
        words.every((word) => wordsOf.get(row).includes(word))
      );
    };

    const filter = () => {
      const track = tabs.value();
      const data = chosen("data");
      const all = field.view && chosen("view") === "all" && across.some((part) => part.track === track);
      let shown = 0;
      let total = 0;
      const entries = new Set();
      for (const group of table.groups) {
        const inTrack = group.track === track;
        const inView = inTrack && (data === "" || group.data === data);
        let left = 0;
        for (const row of group.rows) {
          row.hidden = !fits(row);
          left += !row.hidden;
          if (inTrack && !row.hidden) entries.add(row.dataset.entry);
        }
        group.body.hidden = !inView || left === 0;
        if (inTrack) total += group.rows.length;
        if (inView) shown += left;
      }
      for (const figure of figures) {
        figure.hidden = figure.dataset.track !== track || (data !== "" && figure.dataset.data !== data);
      }
      const [byData, byAll] = [root.querySelector("[data-mb-by=data]"), root.querySelector("[data-mb-by=all]")];
      byData.hidden = all;
      if (byAll) byAll.hidden = !all;
      if (all) [shown, total] = sumUp(track, entries);
      const prompted = table.groups.some(
        (group) => !group.body.hidden && group.body.querySelector("td.mb-prompted:not(.mb-blank)"),
      );
      root.dataset.mbView = prompted ? "prompted" : "plain";
      count.textContent = `${shown} of ${total} ${all ? "entries" : "rows"} in this track`;
      if (total > shown) {
        const hidden = document.createElement("b");
        hidden.textContent = `, ${total - shown} hidden`;
        count.append(hidden);
      }
    };

    const published = () => {
      const [pooled, given] = ["iou", "object_score"].map(table.place);
      const headline = (row) => mitobench.value(row.cells[given]) ?? mitobench.value(row.cells[pooled]);
      return new Map(table.groups.flatMap((group) => group.rows.map((row) => [one(group, row), headline(row)])));
    };

    const sumUp = (track, entries) => {
      let counts = [0, 0];
      for (const part of across) {
        const block = root.querySelector(`[data-mb-across="${CSS.escape(part.track)}"]`);
        block.hidden = part.track !== track;
        if (block.hidden) continue;
        const from = answers.size ? answers : published();
        part.update((entry, dataset) => from.get(`${entry}|${track}|${dataset}`) ?? null);
        const rows = [...block.querySelectorAll("tr[data-entry]")];
        for (const row of rows) row.hidden = !entries.has(row.dataset.entry);
        counts = [rows.filter((row) => !row.hidden).length, rows.length];
      }
      return counts;
    };

    const sorter = root.querySelector("[data-mb-sort]");
    const sortKeys = () => {
      sorter.replaceChildren(new Option("as ranked", ""));
      for (const head of table.heads().filter((cell) => !table.away(cell))) {
        for (const sign of head.dataset.first === "asc" ? ["", "-"] : ["-", ""]) {
          sorter.append(new Option(head.textContent + (sign ? " ↓" : " ↑"), sign + head.dataset.key));
        }
      }
      if (![...sorter.options].some((option) => option.value === sort)) sort = "";
      sorter.value = sort;
    };

    const show = () => {
      filter(); // tells which columns there are
      sortKeys();
      table.order(sort);
      write();
    };

    const update = async (changed) => {
      if (changed === "all" || changed in USUAL_ASK || changed === "track") await answer();
      if (changed === "all" || changed === "show") await showColumns();
      if (field.view && chosen("view") === "all") await table.exact();
      show();
    };

    const setSort = async (key) => {
      sort = key;
      show();
      if (await table.exact()) show(); // at once by the digits shown, then by all of them
    };

    /* ------------------------------------------------------------ events */

    ranking.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head || !event.target.closest("button")) return;
      const [up, down] = [head.dataset.key, "-" + head.dataset.key];
      const turns = head.dataset.first === "asc" ? [up, down] : [down, up];
      setSort(sort === turns[0] ? turns[1] : sort === turns[1] ? "" : turns[0]);
    });
    sorter.addEventListener("change", () => setSort(sorter.value));
    form.addEventListener("input", (event) => event.target !== sorter && update(event.target.name));
    root.addEventListener("input", (event) => event.target.name === "weight" && show());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      sort = "";
      for (const part of across) part.restore(part.inputs.map(() => "1").join(","));
      setTimeout(() => update("all"));
    });
    addEventListener("popstate", () => {
      read();
      update("all");
    });

    /* ------------------------------------------------------------ files of the view */

    const view = async () => {
      await table.exact();
      const part = across.find((one) => one.track === tabs.value());
      return part && chosen("view") === "all" ? part.view() : table.view();
    };
    const bibtex = async () => {
      const known = await mitobench.load("bibtex");
      const shown = new Set(table.view().lines.map((line) => line[2]));
      return [...shown].sort().map((entry) => known[entry] ?? "").join("\n");
    };
    const FILES = {
      csv: async () => mitobench.save(mitobench.csv(await view()), "mitobench-leaderboard.csv", "text/csv"),
      json: async () => mitobench.save(mitobench.json(await view()), "mitobench-leaderboard.json", "application/json"),
      bibtex: async () => mitobench.save(await bibtex(), "mitobench-leaderboard.bib", "application/x-bibtex"),
    };
    for (const button of document.querySelectorAll("[data-mb-file]")) {
      button.hidden = false;
      button.addEventListener("click", () => FILES[button.dataset.mbFile]());
    }

    form.hidden = false;
    read();
    for (const part of form.querySelectorAll("details")) {
      part.open = [...part.querySelectorAll("[name]")].some((one) => chosen(one.name) !== usual[one.name]);
    }
    filter();
    update("all");
  };
})((globalThis.mitobench ??= {}));
