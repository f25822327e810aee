/** Reads server-sent events from a response body, as they arrive. */

const LINE_END = /\r\n|\n|\r(?!$)/; // a lone CR at the very end may be half of a CRLF

/**
 * Yields the data of each event.
 *
 * @param {ReadableStream<Uint8Array>} stream
 * @returns {AsyncGenerator<string>}
 */
export async function* events(stream) {
  let data = [];
  for await (const line of lines(stream)) {
    if (line.startsWith("data:")) {
      data.push(line.slice(5).replace(/^ /, ""));
    } else if (line === "" && data.length > 0) {
      yield data.join("\n");
      data = [];
    }
  }
}

async function* lines(stream) {
  let rest = "";
  for await (const text of texts(stream)) {
    const parts = (rest + text).split(LINE_END);
    rest = parts.pop();
    yield* parts;
  }
}

async function* texts(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      yield decoder.decode(part.value, { stream: true });
    }
  } finally {
    reader.releaseLock();
  }
}
