// Before anything is painted: the theme that was chosen here, or the system's.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("voxpop-theme") || "auto";
    document.documentElement.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
    document.documentElement.dataset.chosenTheme = chosen;
  };
  system.addEventListener("change", apply);
  window.voxpopTheme = {
    next() {
      const order = ["auto", "light", "dark"];
      const chosen = document.documentElement.dataset.chosenTheme;
      localStorage.setItem("voxpop-theme", order[(order.indexOf(chosen) + 1) % order.length]);
      apply();
    },
  };
  apply();
})();
