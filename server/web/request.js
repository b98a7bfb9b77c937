// request.js - asking the daemon: JSON in, JSON out, errors with the daemon's own words. The API token, when the daemon
// wants one, is kept for as long as the tab is open.

const KEY = "backpropd-token";

export class ApiError extends Error {
	constructor(status, problem) {
		super(problem.detail || problem.title || "HTTP " + status);
		this.status = status;
		this.code = problem.code;
	}
}

export function setToken(text) {
	sessionStorage.setItem(KEY, text);
}

export function hasToken() {
	return Boolean(sessionStorage.getItem(KEY));
}

function headers(accept) {
	const token = sessionStorage.getItem(KEY);
	return token ? { Accept: accept, Authorization: "Bearer " + token } : { Accept: accept };
}

/** Throws ApiError for an answer that is an error, TypeError when there is no answer. */
export async function request(method, path) {
	const answer = await fetch(path, { method, headers: headers("application/json") });
	const text = await answer.text();
	const body = text ? JSON.parse(text) : null;
	if (!answer.ok) throw new ApiError(answer.status, body || {});
	return body;
}

/** Saves what is at path as a file: what a plain link cannot do when a token is needed. */
export async function download(path, name) {
	const answer = await fetch(path, { headers: headers("*/*") });
	if (!answer.ok) throw new ApiError(answer.status, await answer.json());
	const url = URL.createObjectURL(await answer.blob());
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}
