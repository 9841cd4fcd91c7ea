// Says so when what was typed could not be kept; the next key tries again.
document.addEventListener("htmx:afterRequest", (event) => {
  const warning = document.getElementById("unsaved");
  if (warning && event.detail.elt.matches("form.report")) {
    warning.hidden = event.detail.successful;
  }
});
