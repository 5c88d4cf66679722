// What lies in the warehouse. Prices in cents.
const rows = [
  ['1', 'Wheat, white', 'wheat', 189, 140, 'Type 550, for bread rolls, cakes and everything else.'],
  ['2', 'Wheat, whole', 'wheat', 219, 80, 'The whole grain, ground on the day you order it.'],
  ['3', 'Rye, dark', 'rye', 229, 64, 'Type 1370. Needs sourdough, rewards it.'],
  ['4', 'Rye, whole', 'rye', 239, 41, 'Coarse and honest; keeps bread moist for a week.'],
  ['5', 'Spelt, fine', 'spelt', 319, 33, 'Nutty, and kinder than wheat to a gentle hand.'],
  ['6', 'Spelt, whole', 'spelt', 339, 18, 'An old grain from the upper field.'],
  ['7', 'Oat flakes', 'oat', 199, 120, 'Rolled from the kernel between steel rollers.'],
  ['8', 'Corn, yellow', 'corn', 249, 57, 'For polenta; grown behind the weir.'],
];

export const products = rows.map(([id, name, grain, price, stock, about]) => ({
  ...{ id, name, about, grain, price, stock },
}));

export const note = { text: 'The wheel turns again: the weir was mended on Tuesday.' };
