/**
 * A plain renderer: Express, template strings, and `millrace/render`. Every page is a scope of the
 * middleware; what it reads through `read` is named in its `Cache-Groups`, so a changed story makes
 * the pages that show it stale, and no others. There is no purge code.
 *
 * The node runs it (origins/web.yaml) and tells it PORT and MILLRACE_URL.
 */
import express from 'express';
import { createRender } from 'millrace/render';

const { PORT = '3000', MILLRACE_URL = 'http://127.0.0.1:9926' } = process.env;
const render = createRender({ node: MILLRACE_URL });
const app = express();
app.disable('x-powered-by');
app.use(render.middleware);

/** Records of the node; `undefined` where there is none. */
async function read(path) {
  const response = await render.fetch(`${MILLRACE_URL}${path}`);
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

app.get('/', async (_, response) => {
  const stories = await read('/Story/?sort(title)');
  const items = stories.map(
    ({ id, title, desk }) =>
      html`<li><a href="/stories/${id}">${title}</a> <small>${desk}</small></li>`,
  );
  response.send(page('The Millrace Paper', html`<ul>${items}</ul>`, '/Story/'));
});

app.get('/stories/:id', async (request, response) => {
  const { id } = request.params;
  const story = await read(`/Story/${encodeURIComponent(id)}`);
  // That there is no such story is read too: the page changes once there is one.
  if (story === undefined) {
    return response.status(404).send(page('No such story', html`<p>Not yet.</p>`, `/Story/${id}`));
  }
  response.send(page(story.title, html`<p>${story.text}</p>`, `/Story/${id}`));
});

/** A page whose head leaves before all of it is read says beforehand what it will read. */
app.get('/digest', async (_, response) => {
  render.declare('Story');
  response.type('html').write('<!doctype html><title>Digest</title><h1>Digest</h1>');
  for (const { id } of await read('/Story/?select(id,title)&sort(id)')) {
    const { title, text } = await read(`/Story/${encodeURIComponent(id)}`);
    response.write(String(html`<h2>${title}</h2><p>${text}</p>`));
  }
  response.end();
});

const server = app.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));

/** A tag for templates: values are escaped, unless they are pieces of HTML themselves. */
function html(texts, ...values) {
  const parts = values.map((value) => [value].flat().map(escaped).join(''));
  return new Html(texts.map((text, index) => text + (parts[index] ?? '')).join(''));
}

class Html {
  #text;
  constructor(text) {
    this.#text = text;
  }
  toString() {
    return this.#text;
  }
}

function escaped(value) {
  if (value instanceof Html) return value.toString();
  const marks = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return String(value).replace(/[&<>"]/g, (mark) => marks[mark]);
}

/**
 * The page follows the records at `follows`, and itself. When a record changes it asks for itself,
 * which has the node render it anew behind the answer; when that is done it hears of it.
 */
function page(title, body, follows) {
  return `<!doctype html>${html`<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>
  :root { color-scheme: light dark; font: 18px/1.6 ui-serif, Georgia, serif; }
  body { max-width: 38rem; margin: 3rem auto; padding-inline: 1.2rem; }
  small { opacity: .6; } a { color: inherit; } li { margin-block: .4rem; }
</style>
<body>
<nav><a href="/">The Millrace Paper</a></nav>
<main data-follows="${follows}"><h1>${title}</h1>${body}</main>
<script type="module">
  const main = document.querySelector('main');
  const own = '/Page/' + encodeURIComponent(location.host + location.pathname);
  for (const path of [main.dataset.follows, own]) {
    const events = new EventSource(path);
    let isJoining = true;
    for (const type of ['put', 'patch', 'delete', 'snapshot']) {
      events.addEventListener(type, () => (isJoining ? (isJoining = false) : refresh()));
    }
  }
  async function refresh() {
    const text = await (await fetch(location.href)).text();
    const next = new DOMParser().parseFromString(text, 'text/html').querySelector('main');
    if (next.innerHTML !== main.innerHTML) main.replaceChildren(...next.childNodes);
  }
</script>
</html>`}`;
}
