/**
 * The scoreboard: two live queries and a presence over one socket. Nothing here polls, resumes or
 * merges; the client does, and hands over the rows as they are now.
 */
import { connect } from '/live/client.js';

const TICKER_LENGTH = 14;
const one = (id) => document.getElementById(id);
const element = (name, className, ...children) => {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
};

const live = connect({
  onStatus(status) {
    one('status').textContent = status === 'open' ? 'live' : status;
    one('status').className = status;
  },
});

const clubs = new Map();
const scores = new Map();
live.query('/Match/?sort(id)').subscribe((matches) => {
  for (const { id, home, away } of matches) clubs.set(id, `${home} – ${away}`);
  one('goals').textContent = matches.reduce((sum, m) => sum + m.homeScore + m.awayScore, 0);
  one('matches').replaceChildren(...matches.map(card));
});

function card(match) {
  const { id, home, away, homeScore, awayScore, minute, phase, venue } = match;
  const score = homeScore + awayScore;
  const scored = scores.has(id) && score > scores.get(id);
  scores.set(id, score);
  const at = { upcoming: 'soon', break: 'half-time', over: 'full time' }[phase] ?? `${minute}′`;
  const team = (name, goals) =>
    element('div', 'team', element('span', '', name), element('b', '', String(goals)));
  const when = element('p', 'minute', `${at} · ${venue}`);
  return element(
    'article',
    `${phase}${scored ? ' scored' : ''}`,
    ...[when, team(home, homeScore), team(away, awayScore)],
  );
}

const SAYINGS = {
  goal: ({ player, team }) => `${player} scores for ${team}`,
  yellow: ({ player, team }) => `${player} (${team}) is booked`,
  red: ({ player, team }) => `${player} (${team}) is sent off`,
  start: ({ minute }) => (minute < 45 ? 'Kick-off' : 'Second half'),
  break: () => 'Half-time',
  end: () => 'Full time',
};

const ticker = one('ticker');
live.subscribe(
  '/Incident/',
  ({ type, value }) => {
    if ((type !== 'put' && type !== 'enter') || !(value?.kind in SAYINGS)) return;
    const said = element('span', '', SAYINGS[value.kind](value));
    said.append(element('br', ''), element('small', '', clubs.get(value.match) ?? ''));
    ticker.prepend(element('li', value.kind, element('span', '', `${value.minute}′`), said));
    while (ticker.children.length > TICKER_LENGTH) ticker.lastChild.remove();
  },
  { omitCurrent: true },
);

live.presence('/Match/', (count) => {
  one('viewers').textContent = count.toLocaleString();
});
