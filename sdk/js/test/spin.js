// What a Spin needs besides what the gateway needs: the manifest, and secrets, which a gateway makes for itself.

import { X509Certificate, randomBytes } from "node:crypto";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { caExtensions, der, extension, mint, newKey } from "./mint.js";

const MANIFEST = new URL("../../../spin.toml", import.meta.url);
const TEN_YEARS_MS = 10 * 365 * 86_400_000;

/** Writes what it needs to a directory; the arguments of `spin` with these settings. */
export async function prepareSpin(state, component, settings) {
  const at = (file) => join(state, file);
  await copyFile(component, at("component.wasm"));
  const manifest = await readFile(MANIFEST, "utf8");
  await writeFile(at("spin.toml"), manifest.replace(/^source = .*$/m, 'source = "component.wasm"'));
  const key = await newKey();
  const ca = { subject: "Domain CA", key };
  const certificate = await mint({
    ...ca,
    issuer: ca,
    extensions: [...caExtensions(), extension("subjectKeyId", false, der(4, "01020304"))],
    to: new Date(Date.now() + TEN_YEARS_MS),
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", key.privateKey);
  const pem = Buffer.from(pkcs8).toString("base64").replace(/.{64}/g, "$&\n");
  const secrets = {
    ca_certificate: ["ca.pem", new X509Certificate(certificate).toString()],
    ca_private_key: ["ca-key.pem", `-----BEGIN PRIVATE KEY-----\n${pem}\n-----END PRIVATE KEY-----\n`],
    key_encryption_key: ["key-encryption-key", randomBytes(32).toString("hex")],
    admin_token: ["admin-token", randomBytes(32).toString("hex")],
  };
  const variables = { ...settings };
  for (const [name, [file, content]] of Object.entries(secrets)) {
    await writeFile(at(file), content, { mode: 0o600 });
    variables[name] = `@${at(file)}`;
  }
  return [
    ...["up", "--from", at("spin.toml"), "--listen", "127.0.0.1:0", "--state-dir", at("spin")],
    ...Object.entries(variables).flatMap(([name, value]) => ["--variable", `${name}=${value}`]),
  ];
}
