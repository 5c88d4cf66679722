import Link from 'next/link';
import { note, products } from '../lib/shop.js';
import { Live } from './live.jsx';
import { price } from './price.js';

export const revalidate = 300;

export default async function Shelf() {
  const [all = [], said] = await Promise.all([products(), note()]);
  return (
    <>
      <section className="note" data-note>
        <p>{said?.text}</p>
      </section>
      <ul className="shelf">
        {all.map((one) => (
          <li key={one.id}>
            <Link href={`/products/${one.id}`} prefetch={false} data-product={one.id}>
              <span className={`sack ${one.grain}`} aria-hidden="true">
                {one.name.slice(0, 1)}
              </span>
              <strong>{one.name}</strong>
              <span className="price">{price(one.price)}</span>
              <span className={one.stock > 0 ? 'stock' : 'stock none'}>
                {one.stock > 0 ? `${one.stock} sacks` : 'sold out'}
              </span>
            </Link>
          </li>
        ))}
      </ul>
      <Live of="/Product/" renderedAt={Date.now()} />
    </>
  );
}
