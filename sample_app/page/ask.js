/** Sends one question to /v1/chat/completions and tells what comes back, as it comes. */

import { events } from "./sse.js";

/** What went wrong, in words that a person can use. */
export class AskError extends Error {}

/**
 * Asks, and yields what is heard, in order: one head, then texts, then perhaps a usage.
 *
 * @param {{question: string, model: string, stream: boolean, fresh: boolean, key: string}} wish
 * @param {AbortSignal} signal stops the asking
 * @returns {AsyncGenerator<{head: Head} | {text: string} | {usage: Usage}>}
 */
export async function* ask(wish, signal) {
  const response = await send("v1/chat/completions", {
    method: "POST",
    headers: headersFor(wish),
    body: JSON.stringify(bodyFor(wish)),
    signal,
  });
  yield { head: { status: response.headers.get("cache-status"), age: response.headers.get("age") } };
  yield* isStream(response) ? readStream(response) : readWhole(response);
}

/** The names of the models that can be asked. */
export async function models(key) {
  const response = await send("v1/models", { headers: authorization(key) });
  const { data } = await json(response);
  return data.map((model) => model.id);
}

function bodyFor({ question, model, stream }) {
  const body = { model, messages: [{ role: "user", content: question }] };
  return stream ? { ...body, stream: true, stream_options: { include_usage: true } } : body;
}

function headersFor({ fresh, key }) {
  const headers = { "Content-Type": "application/json", ...authorization(key) };
  return fresh ? { ...headers, "Cache-Control": "no-cache" } : headers;
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function send(path, options) {
  const response = await fetch(path, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new AskError("The app could not be reached. Is it still running?");
  });
  if (!response.ok) throw new AskError(`The app answered ${response.status}: ${await complaint(response)}`);
  return response;
}

async function complaint(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return text.slice(0, 200) || response.statusText;
  }
}

function isStream(response) {
  return (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
}

async function json(response) {
  return response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new AskError("The answer broke off, or is not JSON.");
  });
}

async function* readWhole(response) {
  const answer = await json(response);
  yield { text: words(answer.choices?.[0]?.message ?? {}) };
  if (answer.usage) yield { usage: answer.usage };
}

async function* readStream(response) {
  for await (const data of unbroken(events(response.body))) {
    if (data === "[DONE]") return;
    const chunk = parse(data);
    if (chunk.error) throw new AskError(`The answer broke off: ${chunk.error.message}`);
    const text = words(chunk.choices?.[0]?.delta ?? {});
    if (text) yield { text };
    if (chunk.usage) yield { usage: chunk.usage };
  }
  throw new AskError("The answer broke off before its end.");
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new AskError("The answer has an event that is not JSON.");
  }
}

async function* unbroken(stream) {
  try {
    yield* stream;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new AskError("The connection broke off before the answer's end.");
  }
}

function words(part) {
  return part.content ?? part.refusal ?? "";
}
