/* mitobench: cells, files for the reader, and data that a page asks for when it needs them. No network off the site. */
((mitobench) => {
  "use strict";

  /* What a cell holds: its unrounded value where it has one, else its words; "" where there is nothing. */
  mitobench.raw = (cell) => cell.dataset.value ?? (cell.querySelector(".mb-none") ? "" : (cell.querySelector("b") ?? cell).textContent);

  /* The entry of a row is the page that its name links to. */
  mitobench.entry = (row) => decodeURIComponent(row.querySelector("th a").getAttribute("href")).slice("entries/".length, -".html".length);

  /* The same as a number, a word, or null. */
  mitobench.value = (cell) => {
    const raw = cell ? mitobench.raw(cell) : "";
    if (raw === "") return null;
    const number = Number(raw);
    return Number.isNaN(number) ? raw : number;
  };

  /* Missing values stay last whichever way the rest is sorted. */
  mitobench.compare = (one, other, sign) => {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * String(one).localeCompare(String(other));
  };

  /* A number or the missing sign, as the pages show them. */
  mitobench.fill = (cell, value, digits) => {
    const missing = value === null || value === undefined;
    cell.dataset.value = missing ? "" : String(value);
    const shown = document.createElement("span");
    shown.textContent = missing ? "–" : value.toFixed(digits);
    if (missing) shown.className = "mb-none";
    cell.replaceChildren(shown);
    return cell;
  };

  /* Mean over seeds, and over datasets with weights; null where something is missing. */
  mitobench.mean = (values, weights = values.map(() => 1)) => {
    const used = values.map((value, at) => [value, weights[at]]).filter(([, weight]) => weight > 0);
    const below = used.reduce((sum, [, weight]) => sum + weight, 0);
    if (!below || used.some(([value]) => value === null || value === undefined)) return null;
    return used.reduce((sum, [value, weight]) => sum + value * weight, 0) / below;
  };

  /* A field that a spreadsheet would run as a formula gets a leading apostrophe. */
  const csvCell = (raw) => {
    let text = String(raw).replace(/\s+/g, " ").trim();
    if (/^[=+\-@|%]/.test(text) && Number.isNaN(Number(text))) text = "'" + text;
    return /[",;\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };

  mitobench.csv = ({ heads, lines }) => [heads, ...lines].map((line) => line.map(csvCell).join(",")).join("\n") + "\n";

  mitobench.json = ({ heads, lines }) => {
    const plain = (raw) => (raw === "" ? null : Number.isNaN(Number(raw)) ? raw : Number(raw));
    const rows = lines.map((line) => Object.fromEntries(heads.map((head, at) => [head, plain(line[at])])));
    return JSON.stringify({ from: location.href, rows }, null, 1) + "\n";
  };

  mitobench.save = (text, name, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  /* Data come as scripts, because a page that was opened from a folder may not fetch. Each is loaded once. */
  const waiting = {};
  const arrived = {};
  mitobench.take = (name, data) => {
    arrived[name] = data;
  };
  mitobench.load = (name) =>
    (waiting[name] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "data/" + encodeURIComponent(name) + ".js";
      script.addEventListener("load", () => resolve(arrived[name]));
      script.addEventListener("error", () => reject(new Error(name + " is not beside this page")));
      document.head.append(script);
    }));
})((globalThis.mitobench ??= {}));
