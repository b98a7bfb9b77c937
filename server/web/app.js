// app.js - the page's loop: which view is shown (by the address's #job_...), and asking the daemon every two seconds.
import { request } from "./request.js";
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

async function tick() {
	clearTimeout(timer);
	const id = location.hash.slice(1);
	const view = id ? jobView : jobsView;
	document.getElementById("jobs-view").hidden = Boolean(id);
	document.getElementById("job-view").hidden = !id;
	try {
		await Promise.all([view.refresh(id), showSystem()]);
		document.getElementById("offline").hidden = true;
	} catch (error) {
		if (error.status === 404 && id) jobView.missing(id);
		else if (!error.status) document.getElementById("offline").hidden = false;
		else throw error;
	} finally {
		clearTimeout(timer);
		timer = setTimeout(tick, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
	}
}

document.getElementById("here").textContent = location.origin;
addEventListener("hashchange", tick);
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
tick();
