/* mitobench: two entries of one group against each other: paired difference on shared tiles, objects won, where they part. */
((mitobench) => {
  "use strict";

  /* Mean IoU over seeds of (tp, fp, fn) sums; NaN where nothing stands below. */
  const score = (sums) => sums.reduce((sum, [tp, fp, fn]) => sum + tp / (tp + fp + fn), 0) / sums.length;

  /* Tiles of a seed as [tp, fp, fn] rows, and their sum. */
  const rows = (flat) => Array.from({ length: flat.length / 3 }, (_, at) => flat.slice(3 * at, 3 * at + 3));
  const added = (tiles) => tiles.reduce((sum, tile) => sum.map((part, k) => part + tile[k]), [0, 0, 0]);

  /* First minus second, each the mean over its seeds, with the interval of a delete-a-tile jackknife; the same as
     intervals.paired_difference in Python. t: quantile of Student's t by degrees of freedom. */
  mitobench.paired = (first, second, t) => {
    const sides = [first, second].map((seeds) => seeds.map(rows));
    const tiles = sides[0][0].length;
    const used = [...Array(tiles).keys()].filter((at) => sides.some((seeds) => seeds.some((seed) => added([seed[at]]).some(Boolean))));
    const whole = sides.map((seeds) => seeds.map(added));
    const value = score(whole[0]) - score(whole[1]);
    const without = used.map((at) => {
      const [one, two] = sides.map((seeds, side) => score(seeds.map((seed, k) => whole[side][k].map((sum, part) => sum - seed[at][part]))));
      return one - two;
    });
    const units = used.length;
    if (units < 2 || !without.every(Number.isFinite)) return { value, low: null, high: null, units };
    const middle = without.reduce((sum, part) => sum + part, 0) / units;
    const error = Math.sqrt(((units - 1) / units) * without.reduce((sum, part) => sum + (part - middle) ** 2, 0));
    const reach = t[units - 1] * error;
    return { value, low: value - reach, high: value + reach, units };
  };

  /* First minus second, the mean over objects that both were given, by the paired t test; intervals.object_difference
     in Python. */
  mitobench.pairedObjects = (first, second, t) => {
    const parts = first.map((iou, at) => iou - second[at]);
    const units = parts.length;
    const value = parts.reduce((sum, part) => sum + part, 0) / (units || 1);
    if (units < 2) return { value, low: null, high: null, units };
    const spread = Math.sqrt(parts.reduce((sum, part) => sum + (part - value) ** 2, 0) / (units - 1));
    const reach = (t[units - 1] * spread) / Math.sqrt(units);
    return { value, low: value - reach, high: value + reach, units };
  };

  /* True objects that fit better in one prediction than in the other; nearer than the digits kept is a draw. */
  mitobench.won = (first, second) => ({
    first: first.filter((iou, at) => iou > second[at]).length,
    second: first.filter((iou, at) => iou < second[at]).length,
    draw: first.filter((iou, at) => iou === second[at]).length,
  });

  const element = (name, content, marks = {}) => {
    const made = document.createElement(name);
    made.append(...[content].flat());
    for (const [key, value] of Object.entries(marks)) made.setAttribute(key, value);
    return made;
  };
  const drawn = (name, marks, title) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(marks)) made.setAttribute(key, value);
    if (title) made.append(drawn("title", {}));
    if (title) made.firstChild.textContent = title;
    return made;
  };
  const shown = (value) => (value === null ? "–" : value.toFixed(3));

  const table = (heads, lines, caption) => {
    const head = element("thead", element("tr", heads.map((one) => element("th", one, { scope: "col" }))));
    const body = element("tbody", lines.map((line) => element("tr", line.map((one, at) => element(at ? "td" : "th", one, at ? {} : { scope: "row" })))));
    const made = element("table", [element("caption", caption), head, body], { class: "mb-table mb-plain" });
    return element("div", made, { class: "mb-scroll", role: "region", tabindex: "0", "aria-label": caption });
  };

  /* IoU of every true object in both, a point each; above the diagonal the second is better. */
  const scatter = (truth, first, second, names) => {
    const svg = drawn("svg", { class: "mb-plot mb-duel-plot", viewBox: "0 0 240 240", role: "img", "aria-label": `IoU of every object in ${names.join(" and ")}` });
    svg.append(drawn("path", { class: "mb-grid", d: "M30 10V220H230M30 220L230 20", fill: "none" }));
    for (const tick of [0, 0.5, 1]) {
      const [right, up] = [drawn("text", { class: "mb-tick", x: 30 + 200 * tick, y: 233, "text-anchor": "middle" }), drawn("text", { class: "mb-tick", x: 26, y: 223 - 200 * tick, "text-anchor": "end" })];
      for (const one of [right, up]) one.textContent = String(tick);
      svg.append(right, up);
    }
    truth.forEach((one, at) => {
      const place = { class: "mb-dot-baseline", cx: 30 + 200 * first[at], cy: 220 - 200 * second[at], r: 2 + Math.min(5, Math.cbrt(one.voxels) / 12) };
      svg.append(drawn("circle", place, `object ${one.id}: ${shown(first[at])} and ${shown(second[at])}`));
    });
    return element("figure", [svg, element("figcaption", `Each point is a true object: right, its IoU with ${names[0]}; up, with ${names[1]}.`)], { class: "mb-figure" });
  };

  mitobench.duel = (root) => {
    const form = root.querySelector("form");
    const field = form.elements;
    const out = root.querySelector("[data-mb-result]");

    const fill = (select, entries, wanted) => {
      const names = Object.entries(entries).sort(([, one], [, two]) => one.name.localeCompare(two.name));
      select.replaceChildren(...names.map(([key, one]) => new Option(one.name, key)));
      if (wanted in entries) select.value = wanted;
    };

    const show = async (asked) => {
      let group;
      try {
        group = await mitobench.load(`duels.${field.group.value}`);
      } catch (error) {
        out.textContent = `The tables could not be read: ${error.message}.`;
        return;
      }
      const [a, b] = asked ?? [field.a.value, field.b.value];
      const best = Object.entries(group.entries).sort(([, one], [, two]) => two.iou - one.iou).map(([key]) => key);
      fill(field.a, group.entries, a in group.entries ? a : best[0]);
      fill(field.b, group.entries, b in group.entries && b !== field.a.value ? b : (best.find((key) => key !== field.a.value) ?? best[0]));
      const pair = [field.a, field.b].map((select) => group.entries[select.value]);
      const names = pair.map((one) => one.name);
      const found = group.given
        ? mitobench.pairedObjects(pair[0].objects, pair[1].objects, group.t)
        : mitobench.paired(pair[0].tiles, pair[1].tiles, group.t);
      const won = mitobench.won(pair[0].objects, pair[1].objects);
      const apart = found.low !== null && (found.low > 0 || found.high < 0);
      const ends = found.low === null ? "" : ` [${shown(found.low)}, ${shown(found.high)}]`;
      const gaps = group.truth.map((one, at) => ({ ...one, one: pair[0].objects[at], two: pair[1].objects[at] }));
      gaps.sort((x, y) => Math.abs(y.one - y.two) - Math.abs(x.one - x.two));
      const lines = gaps.filter((one) => one.one !== one.two).slice(0, 10);
      out.replaceChildren(
        table(["Score", ...names], [[group.given ? "mean IoU of the given objects" : "IoU", shown(pair[0].iou), shown(pair[1].iou)], ["objects won", String(won.first), String(won.second)]], "Both entries"),
        element("p", [
          element("b", `Difference ${shown(found.value)}${ends}`),
          ` on ${found.units} ${group.given ? "given objects" : "tiles"}: ${apart ? "the interval leaves out 0" : "not told apart"}. Draws: ${won.draw} of ${group.truth.length} objects.`,
        ]),
        scatter(group.truth, pair[0].objects, pair[1].objects, names),
        element("h2", "Where they disagree most"),
        table(["Object", "Voxels", "Place (z, y, x)", ...names], lines.map((one) => [`${one.volume} ${one.id}`, String(one.voxels), one.place, shown(one.one), shown(one.two)]), "True objects by difference of IoU"),
      );
      const state = new URLSearchParams({ group: field.group.value, a: field.a.value, b: field.b.value });
      try {
        history.replaceState(history.state, "", `${location.pathname}?${state}`);
      } catch {
        /* some browsers refuse this for files; the page works without */
      }
    };

    const asked = new URLSearchParams(location.search);
    if ([...field.group.options].some((option) => option.value === asked.get("group"))) field.group.value = asked.get("group");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => show());
    form.hidden = false;
    show([asked.get("a"), asked.get("b")]);
  };
})((globalThis.mitobench ??= {}));
