function isChanged(field) {
  if (field.matches("select")) {
    const offered = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(offered, 0);
  }
  return field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
}

// Keeps what was said before this page's scripts were there; else it would wait for the next key.
document.addEventListener("htmx:load", (event) => {
  const form = document.querySelector("form.report");
  if (!form || !event.detail.elt.contains(form)) return;
  const fields = [...form.querySelectorAll("textarea, select, input:not([type]), input[type=checkbox]")];
  if (fields.some(isChanged)) form.dispatchEvent(new Event("input"));
});

// Says so when what was typed could not be kept; the next key tries again.
document.addEventListener("htmx:afterRequest", (event) => {
  const warning = document.getElementById("unsaved");
  if (warning && event.detail.elt.matches("form.report")) {
    warning.hidden = event.detail.successful;
  }
});
