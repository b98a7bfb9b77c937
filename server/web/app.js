// app.js - the page's loop: which view is shown (by the address's #job_...), and asking the daemon every two seconds.
import { hasToken, request, setToken } from "./request.js";
import { count } from "./format.js";
import { JobsView } from "./jobs.js";
import { JobView } from "./job.js";

const POLL_MS = 2000;
const HIDDEN_POLL_MS = 15000; // nobody looks

const jobsView = new JobsView();
const jobView = new JobView();
let timer = 0;

async function showSystem() {
	const s = await request("GET", "/v1/system");
	const jobs = s.jobs || {};
	document.getElementById("system").textContent =
		`version ${s.version} · ${s.threads} threads · ${count(jobs.running || 0)} running · ${count(jobs.queued || 0)} queued`;
}

/** Asks for a token, and says what was wrong with the one there is. */
function askForToken(error) {
	document.getElementById("sign-in").hidden = false;
	document.getElementById("sign-in-error").textContent = hasToken() ? error.message : "";
	document.getElementById("system").textContent = "";
	for (const view of ["jobs-view", "job-view"]) document.getElementById(view).hidden = true;
}

async function tick() {
	clearTimeout(timer);
	const id = location.hash.slice(1);
	const view = id ? jobView : jobsView;
	document.getElementById("jobs-view").hidden = Boolean(id);
	document.getElementById("job-view").hidden = !id;
	try {
		await Promise.all([view.refresh(id), showSystem()]);
		document.getElementById("offline").hidden = true;
		document.getElementById("sign-in").hidden = true;
	} catch (error) {
		if (error.status === 401) askForToken(error);
		else if (error.status === 404 && id) jobView.missing(id);
		else if (!error.status) document.getElementById("offline").hidden = false;
		else throw error;
	} finally {
		clearTimeout(timer);
		timer = setTimeout(tick, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
	}
}

document.getElementById("here").textContent = location.origin;
document.getElementById("sign-in").addEventListener("submit", (event) => {
	event.preventDefault();
	setToken(document.getElementById("token").value.trim());
	tick();
});
addEventListener("hashchange", tick);
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
tick();
