/**
 * `GET /setup` of the admin port: the small page that makes the first administrator. Everything it
 * needs is in it; it may run its own script and nothing else, and talk to this port alone. The
 * token of the link is behind `#`, so no server, log or referrer ever sees it.
 */
import { createHash } from 'node:crypto';
import type { Exchange, HeaderList } from './port.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1b2530; --soft: #5b6875; --ground: #f3f5f7; --card: #fff;
  --line: #d5dbe1; --accent: #0b6e99; --on-accent: #fff; --bad: #b3261e; --good: #1a7f4b }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf2; --soft: #9aa7b4; --ground: #10161c; --card: #18212a; --line: #2c3844;
    --accent: #4cb3dd; --on-accent: #06202c; --bad: #ff8a80; --good: #6fd6a0 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground) }
main { width: 100%; max-width: 26rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 2rem; box-shadow: 0 8px 30px rgb(0 0 0 / 8%) }
svg { width: 44px; height: 44px; color: var(--accent) }
h1 { font-size: 1.35rem; margin: .75rem 0 .25rem } p { margin: .25rem 0 1rem; color: var(--soft) }
label { display: block; font-weight: 600; font-size: .9rem; margin-top: 1rem }
input { width: 100%; margin-top: .3rem; padding: .6rem .75rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid var(--line); border-radius: 8px }
input:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px }
small { color: var(--soft) }
button { width: 100%; margin-top: 1.5rem; padding: .7rem; font: inherit; font-weight: 600;
  color: var(--on-accent); background: var(--accent); border: 0; border-radius: 8px;
  cursor: pointer }
button[disabled] { opacity: .6; cursor: progress }
#said { min-height: 1.5em; margin: 1rem 0 0 }
.bad { color: var(--bad) } .good { color: var(--good) }
code { font-size: .85em; overflow-wrap: anywhere }`;

const SCRIPT = `
const form = document.querySelector('form');
const said = document.querySelector('#said');
const button = document.querySelector('button');
const token = location.hash.slice(1);
const say = (text, kind) => { said.textContent = text; said.className = kind };
if (token === '') say('Open the whole link that the node printed at its start.', 'bad');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, password, again } = Object.fromEntries(new FormData(form));
  if (password !== again) return say('The two passwords differ.', 'bad');
  button.disabled = true;
  say('One moment…', '');
  const ask = (document) => fetch('/', { method: 'POST', body: JSON.stringify(document),
    headers: { 'content-type': 'application/json' } });
  try {
    const answer = await ask({ operation: 'setup', token, username, password });
    const document_ = await answer.json();
    if (!answer.ok) return say(document_.detail || document_.title, 'bad');
    history.replaceState(null, '', '/setup');
    await ask({ operation: 'login', username, password });
    form.hidden = true;
    document.querySelector('#intro').hidden = true;
    document.querySelector('#done').hidden = false;
    document.querySelector('#name').textContent = username;
    say('', '');
  } catch (error) {
    say('The node did not answer: ' + error.message, 'bad');
  } finally { button.disabled = false }
});`;

const BODY = `<main>
<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3" aria-hidden="true">
<circle cx="24" cy="24" r="15"/><circle cx="24" cy="24" r="4"/>
<path d="M24 9v11M24 28v11M9 24h11M28 24h11M13.4 13.4l7.8 7.8M26.8 26.8l7.8 7.8M34.6
 13.4l-7.8 7.8M21.2 26.8l-7.8 7.8" stroke-linecap="round"/></svg>
<h1>Set up this Millrace node</h1>
<p id="intro">It has no administrator yet. Choose a name and a password for the first one; this link
is good once.</p>
<form>
<label>User name<input name="username" required maxlength="256" autocomplete="username" autofocus
 value="admin" pattern="[^:]+"></label>
<label>Password<input name="password" type="password" required minlength="12" maxlength="1024"
 autocomplete="new-password"></label>
<small>At least 12 characters; a few words make a good one.</small>
<label>Password again<input name="again" type="password" required
 autocomplete="new-password"></label>
<button>Make the administrator</button>
</form>
<div id="done" hidden><p class="good">Done: <b id="name"></b> is the administrator, and this
browser is signed in.</p><p>From a terminal: <code>npx millrace user list --username NAME</code>,
with the password in <code>MILLRACE_ADMIN_PASSWORD</code>.</p></div>
<p id="said" role="status"></p>
</main>`;

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Set up Millrace</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><style>${STYLE}</style></head>
<body>${BODY}<script>${SCRIPT}</script></body></html>
`;

const digest = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const HEADERS: HeaderList = [
  ...['content-type', 'text/html; charset=utf-8', 'cache-control', 'no-store'],
  'content-security-policy',
  `default-src 'none'; style-src ${digest(STYLE)}; script-src ${digest(SCRIPT)}; ` +
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
  ...['x-content-type-options', 'nosniff', 'referrer-policy', 'no-referrer'],
];

export const replySetupPage = (exchange: Exchange): void => exchange.reply(200, HEADERS, PAGE);
