/**
 * The split-flap board: rows of single letters that turn when they change. Letters are only moved
 * for the eye; each row carries its text as a label for those who listen.
 */
const TURN_MS = 45;
const LETTERS = ' ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** Column → number of letters, wide and narrow. */
const WIDTHS = { time: [5, 5], flight: [5, 5], place: [15, 11], gate: [3, 0], status: [9, 9] };

export class SplitFlapBoard {
  #list;
  #onChoose;
  #rows = [];
  #narrow;
  #still = false;
  #turning = new Map();
  #timer;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(list, { onChoose }) {
    this.#list = list;
    this.#onChoose = onChoose;
  }

  /** `rows`: `{ id, time, flight, place, gate, status, tone, label }`; `count` rows are shown. */
  show(rows, { narrow, count, chosen }) {
    const relaid = narrow !== this.#narrow || count !== this.#rows.length;
    // Letters turn for news, not because the window has another size now.
    this.#still = this.#calm.matches || document.hidden || (relaid && this.#rows.length > 0);
    if (relaid) this.#build(count, narrow);
    this.#rows.forEach((row, index) => {
      this.#fill(row, rows[index], index, rows[index]?.id === chosen);
    });
    if (this.#turning.size > 0) this.#timer ??= setInterval(() => this.#turn(), TURN_MS);
  }

  #build(count, narrow) {
    this.#narrow = narrow;
    this.#turning.clear();
    this.#rows = Array.from({ length: count }, () => this.#makeRow());
    this.#list.replaceChildren(...this.#rows.map((row) => row.item));
  }

  #makeRow() {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'flight-row';
    const row = { item, button, cells: {}, id: undefined };
    button.addEventListener('click', () => row.id && this.#onChoose(row.id));
    for (const [name, widths] of Object.entries(WIDTHS)) {
      const field = document.createElement('span');
      field.className = `field ${name}`;
      field.ariaHidden = 'true';
      row.cells[name] = Array.from({ length: widths[this.#narrow ? 1 : 0] }, () => {
        const cell = document.createElement('span');
        cell.className = 'flap';
        cell.textContent = ' ';
        field.append(cell);
        return cell;
      });
      button.append(field);
    }
    item.append(button);
    return row;
  }

  #fill(row, content, index, chosen) {
    row.id = content?.id;
    row.button.disabled = content === undefined;
    row.button.ariaLabel = content?.label ?? 'Empty row';
    row.button.ariaPressed = String(chosen);
    row.button.dataset.tone = content?.tone ?? '';
    for (const [name, cells] of Object.entries(row.cells)) {
      const text = plain(content?.[name] ?? '').padEnd(cells.length);
      cells.forEach((cell, column) => {
        this.#set(cell, text[column], index + column);
      });
    }
  }

  #set(cell, letter, delay) {
    const aim = this.#turning.get(cell)?.letter ?? cell.textContent;
    if (aim === letter) return;
    if (this.#still) {
      this.#turning.delete(cell);
      cell.textContent = letter;
      return;
    }
    const turns = 2 + Math.floor(Math.random() * 4);
    this.#turning.set(cell, { letter, turns, delay: Math.floor(delay / 3) });
  }

  #turn() {
    for (const [cell, turn] of this.#turning) {
      if (turn.delay-- > 0) continue;
      if (turn.turns-- > 0) {
        cell.textContent = LETTERS[Math.floor(Math.random() * LETTERS.length)];
        cell.classList.toggle('turning', true);
        continue;
      }
      cell.textContent = turn.letter;
      cell.classList.toggle('turning', false);
      this.#turning.delete(cell);
    }
    if (this.#turning.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Split-flap drums have no accents. */
const plain = (text) =>
  text
    .normalize('NFD')
    .replace(/[^\x20-\x7e]/g, '')
    .toUpperCase();
