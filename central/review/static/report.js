// Keeps what was typed before this page's scripts were there; else it would wait for the next key.
document.addEventListener("htmx:load", (event) => {
  const form = document.querySelector("form.report");
  if (!form || !event.detail.elt.contains(form)) return;
  const fields = [...form.querySelectorAll("textarea, input:not([type])")];
  if (fields.some((field) => field.value !== field.defaultValue)) form.dispatchEvent(new Event("input"));
});

// Says so when what was typed could not be kept; the next key tries again.
document.addEventListener("htmx:afterRequest", (event) => {
  const warning = document.getElementById("unsaved");
  if (warning && event.detail.elt.matches("form.report")) {
    warning.hidden = event.detail.successful;
  }
});
