// Uploads a file with a public client in its IETF-draft mode and prints one JSON line: what it did, or how it failed.
// usage: node upload.mjs ENDPOINT TOKEN FILE SHA256_BASE64 PROTOCOL CHUNK_BYTES
import { createReadStream, statSync } from "node:fs";
import tus from "tus-js-client";

const [endpoint, token, file, digest, protocol, chunkBytes] = process.argv.slice(2);
const requests = [];
const upload = new tus.Upload(createReadStream(file), {
  endpoint,
  protocol,
  chunkSize: Number(chunkBytes),
  uploadSize: statSync(file).size,
  retryDelays: [0, 100, 100, 100, 100, 100],
  headers: { Authorization: `Bearer ${token}`, "Repr-Digest": `sha-256=:${digest}:` },
  onBeforeRequest: (request) => requests.push(request.getMethod()),
  onError: (error) => {
    console.log(JSON.stringify({ error: String(error), requests }));
    process.exitCode = 1;
  },
  onSuccess: () => console.log(JSON.stringify({ url: upload.url, requests })),
});
upload.start();
