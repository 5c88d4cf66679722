/** Shows what each node holds by the event stream of its table, and steers the cables between. */
const { regions, links } = await (await fetch('/links')).json();
const held = new Map(regions.map((region) => [region, new Map()]));

for (const region of regions) document.querySelector('#regions').append(columnOf(region));
for (const link of links) document.querySelector('#links').append(cableOf(link));

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function columnOf(region) {
  const text = element('input', { type: 'text', ariaLabel: `A note in ${region}`, required: true });
  const form = element('form', {}, text, element('button', { textContent: 'Pin' }));
  const list = element('ul');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const body = { text: text.value, by: region, likes: 0 };
    send('PUT', `/${region}/Note/${Date.now().toString(36)}`, body);
    text.value = '';
  });
  follow(region, list);
  return element('section', {}, element('h2', { textContent: region }), form, list);
}

function follow(region, list) {
  const rows = held.get(region);
  const source = new EventSource(`/${region}/Note/`);
  const show = () => {
    const sorted = [...rows.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
    list.replaceChildren(...sorted.map((note) => noteOf(region, note)));
    compare();
  };
  const on = (type, take) =>
    source.addEventListener(type, (event) => {
      take(JSON.parse(event.data));
      show();
    });
  on('snapshot', ({ values }) => {
    for (const value of values) rows.set(value.id, value);
  });
  for (const type of ['put', 'patch', 'enter']) on(type, ({ id, value }) => rows.set(id, value));
  for (const type of ['delete', 'leave']) on(type, ({ id }) => rows.delete(id));
  on('reset', () => rows.clear());
}

function noteOf(region, { id, text, by, likes = 0 }) {
  const like = element('button', { textContent: `♥ ${likes}`, ariaLabel: `Like ${text}` });
  const add = { likes: { __op__: 'add', value: 1 } };
  like.addEventListener('click', () => send('PATCH', `/${region}/Note/${id}`, add));
  const remove = element('button', { textContent: '×', ariaLabel: `Remove ${text}` });
  remove.addEventListener('click', () => send('DELETE', `/${region}/Note/${id}`));
  const words = element('span', { textContent: text });
  return element('li', {}, words, element('small', { textContent: by }), like, remove);
}

function cableOf({ one, other, delayMs, isCut }) {
  const cut = element('input', { type: 'checkbox', checked: isCut });
  const delay = element('input', { type: 'range', min: 0, max: 500, value: delayMs });
  const label = element('small', { textContent: `${delayMs} ms` });
  const box = element('div');
  const steer = () => {
    label.textContent = `${delay.value} ms`;
    box.dataset.cut = cut.checked;
    send('POST', '/links', { one, other, delayMs: Number(delay.value), isCut: cut.checked });
  };
  cut.addEventListener('change', steer);
  delay.addEventListener('change', steer);
  delay.ariaLabel = `Delay between ${one} and ${other}`;
  box.dataset.cut = isCut;
  box.append(`${one} – ${other}`, delay, label, element('label', {}, cut, ' cut'));
  return box;
}

function compare() {
  const texts = [...held.values()].map((rows) =>
    JSON.stringify([...rows.entries()].sort(([one], [other]) => (one < other ? -1 : 1))),
  );
  const isSame = texts.every((text) => text === texts[0]);
  const state = document.querySelector('#state');
  state.dataset.same = isSame;
  state.textContent = isSame ? 'All three hold the same.' : 'They differ …';
}

function send(method, url, body) {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, { method, headers, body: body && JSON.stringify(body) });
}
