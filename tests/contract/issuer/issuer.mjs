// An OpenID provider on a free port of 127.0.0.1, whose origin it prints. A client gets, for the
// resource `urn:anonymous-domains:ALG`, a JWT access token (RFC 9068) that is signed with ALG.
//
// The clients, their namespaces and the audience come as JSON in the first argument:
// { "audience": "...", "clients": { "id": { "secret": "...", "namespace": "..." } } }

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider, errors } from 'oidc-provider';

const { audience, clients } = JSON.parse(process.argv[2]);
const RESOURCE = /^urn:anonymous-domains:(RS256|PS256|ES256|EdDSA|Ed25519)$/;

function key(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), alg, kid: alg.toLowerCase(), use: 'sig' };
}

const configuration = {
  clients: Object.entries(clients).map(([id, { secret }]) => ({
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  jwks: {
    keys: [
      key('RS256', 'rsa', { modulusLength: 2048 }),
      key('PS256', 'rsa', { modulusLength: 2048 }),
      key('ES256', 'ec', { namedCurve: 'P-256' }),
      key('EdDSA', 'ed25519'),
      key('Ed25519', 'ed25519'),
      // For others: a kind of key that the server does not know.
      key('ES384', 'ec', { namedCurve: 'P-384' }),
    ],
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(_context, resource) {
        const alg = RESOURCE.exec(resource)?.[1];
        if (!alg) throw new errors.InvalidTarget();
        return {
          scope: '',
          audience,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
        };
      },
    },
  },
  extraTokenClaims: (_context, token) => ({ ns: clients[token.clientId].namespace }),
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  server.on('request', new Provider(origin, configuration).callback());
  console.log(origin);
});
