/* mitobench: asks a board question again of the overlap tables. The same as benchmark/ask.py; a test holds them together. */
((mitobench) => {
  "use strict";

  /* One volume after objects were taken out: sizes, and the pairs that touch.
     volume: {true, pred: flags "1" where an object touches a face, or null; rows: [true, pred, voxels, ignored, ...]}.
     Objects are numbered from 1 in the order of their ids; 0 is background. */
  const reread = (volume, question) => {
    const sides = { true: [], pred: [] };
    const add = (side, id, counted, ignored) => {
      const known = (sides[side][id] ??= { counted: 0, ignored: 0, matched: false });
      known.counted += counted;
      known.ignored += ignored;
    };
    const quads = [];
    for (let at = 0; at < volume.rows.length; at += 4) quads.push(volume.rows.slice(at, at + 4));
    const sizes = { true: [], pred: [] };
    for (const [i, j, counted] of quads) {
      sizes.true[i] = (sizes.true[i] ?? 0) + counted;
      sizes.pred[j] = (sizes.pred[j] ?? 0) + counted;
    }
    const gone = (side, id) =>
      id > 0 && (sizes[side][id] < question.small || (!question.faces && volume[side][id - 1] === "1"));
    const voxels = { tp: 0, fp: 0, fn: 0 };
    const pairs = [];
    for (let [i, j, counted, ignored] of quads) {
      if (gone("true", i)) [i, counted, ignored] = [0, 0, counted + ignored];
      add("true", i, counted, ignored);
      add("pred", j, counted, ignored);
      if (i && j) voxels.tp += counted;
      else if (j) voxels.fp += counted;
      else if (i) voxels.fn += counted;
      if (i && j && counted) pairs.push({ i, j, shared: counted });
    }
    for (const pair of pairs) {
      pair.union = sides.true[pair.i].counted + sides.pred[pair.j].counted - pair.shared;
    }
    const judged = (side) =>
      sides[side].map((one, id) => id > 0 && one.counted > 0 && one.ignored <= one.counted && !(side === "pred" && gone(side, id)));
    return { pairs, voxels, judgedTrue: judged("true"), judgedPred: judged("pred") };
  };

  /* Objects of one volume at one IoU; of pairs that tie the first of each true, then of each predicted object stays. */
  const objects = (read, percent, strict) => {
    const meets = ({ shared, union }) => (strict ? 100 * shared > percent * union : 100 * shared >= percent * union);
    const firsts = (pairs, side) => {
      const seen = new Set();
      return pairs.filter((pair) => !seen.has(pair[side]) && seen.add(pair[side]));
    };
    const matched = firsts(firsts(read.pairs.filter(meets), "i"), "j");
    const [paired, partners] = [new Set(matched.map((pair) => pair.i)), new Set(matched.map((pair) => pair.j))];
    const counted = matched.filter((pair) => read.judgedTrue[pair.i]);
    const alone = (judged, taken) => judged.reduce((sum, one, id) => sum + (one && !taken.has(id) ? 1 : 0), 0);
    return {
      tp: counted.length,
      fp: alone(read.judgedPred, partners),
      fn: alone(read.judgedTrue, paired),
      iou: counted.reduce((sum, { shared, union }) => sum + shared / union, 0),
    };
  };

  const total = (parts) => {
    const sum = {};
    for (const part of parts) for (const key of Object.keys(part)) sum[key] = (sum[key] ?? 0) + part[key];
    return sum;
  };
  const ratio = (above, below) => (below ? above / below : 1);

  /* Scores of one record; null where the record does not say which objects touch a face. */
  const ask = (volumes, question) => {
    if (!question.faces && volumes.some((volume) => volume.true === null)) return null;
    const read = volumes.map((volume) => reread(volume, question));
    const voxels = total(read.map((one) => one.voxels));
    const some = total(read.map((one) => objects(one, question.percent, false)));
    const strict = total(read.map((one) => objects(one, question.percent, true)));
    return {
      iou: ratio(voxels.tp, voxels.tp + voxels.fp + voxels.fn),
      f1: ratio(2 * some.tp, 2 * some.tp + some.fp + some.fn),
      seg_acc: ratio(some.tp, some.tp + some.fp + some.fn),
      pq: ratio(strict.iou, strict.tp + strict.fp / 2 + strict.fn / 2),
    };
  };

  mitobench.ask = (seeds, question, key) => mitobench.mean(seeds.map((volumes) => ask(volumes, question)?.[key] ?? null));
})((globalThis.mitobench ??= {}));
