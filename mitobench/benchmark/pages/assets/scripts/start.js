/* mitobench: starts what the page holds; safe to run twice. */
((mitobench) => {
  "use strict";

  const start = () => {
    document.querySelectorAll("[data-mb-board]").forEach(mitobench.board);
    document.querySelectorAll("[data-mb-duel]").forEach((root) => mitobench.load("duel").then(() => mitobench.duel(root)));
    document.querySelectorAll("[data-mb-compare]").forEach(mitobench.slider);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})((globalThis.mitobench ??= {}));
