// Sends an example of the reference and shows the answer.
const form = document.getElementById("try");
const answer = document.getElementById("answer");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { "Content-Type": "application/json" };
  if (form.token.value) headers.Authorization = "Bearer " + form.token.value.trim();
  answer.hidden = false;
  answer.textContent = "…";
  try {
    const response = await fetch(form.dataset.call, { method: "POST", headers, body: form.body.value });
    const text = await response.text();
    let shown = text;
    // Larger integers than this language has are left as they are.
    if (!/\d{16}/.test(text)) try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON */ }
    answer.textContent = response.status + " " + response.statusText + "\n" + shown;
  } catch (error) {
    answer.textContent = String(error);
  }
});
