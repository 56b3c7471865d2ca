// A real OpenID provider (oidc-provider, certified) that takes everybody at his word:
//     node provider.js PORT REDIRECT_URI
// Whoever logs in as "name@host" has that e-mail, verified; as "unverified:name@host" it is not; as "nomail:x" none.
// POST /rotate signs with a new key from then on, and publishes it beside the old one.
import fs from 'node:fs';
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

function key(kid) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}

function claims(login) {
  const [kind, rest] = login.includes(':') ? login.split(':', 2) : ['verified', login];
  if (kind === 'nomail') return { sub: login };
  return { sub: login, email: rest, email_verified: kind === 'verified' };
}

// Kept over restarts, as every provider does.
let keys = fs.existsSync('keys.json') ? JSON.parse(fs.readFileSync('keys.json')) : [key('first')];
const keep = () => fs.writeFileSync('keys.json', JSON.stringify(keys));
keep();
function make() {
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'busi', client_secret: 'a/secret+with=signs', redirect_uris: [redirectUri] },
    ],
    jwks: { keys },
    cookies: { keys: ['not a secret: a test'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    pkce: { required: () => true, methods: ['S256'] },
    conformIdTokenClaims: process.env.USERINFO_ONLY === '1',
    findAccount: (_, sub) => ({ accountId: sub, claims: () => claims(sub) }),
  });
  return provider.callback();
}

let serve = make();
http
  .createServer((request, response) => {
    if (request.method === 'POST' && request.url === '/rotate') {
      keys = [key(`next${keys.length}`), ...keys];
      keep();
      serve = make();
      response.end('rotated\n');
      return;
    }
    serve(request, response);
  })
  .listen(Number(port), '127.0.0.1', () => console.log('ready'));
