/* mitobench: the divider between two pictures follows a native range. */
((mitobench) => {
  "use strict";

  mitobench.slider = (root) => {
    if (root.dataset.mbReady) return;
    root.dataset.mbReady = "yes";
    const handle = root.querySelector("input");
    const move = () => root.style.setProperty("--mb-at", handle.value + "%");
    handle.hidden = false;
    handle.addEventListener("input", move);
    move();
  };
})((globalThis.mitobench ??= {}));
