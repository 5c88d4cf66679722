import Link from 'next/link';
import { notFound } from 'next/navigation';
import { product } from '../../../lib/shop.js';
import { Buy } from '../../buy.jsx';
import { Live } from '../../live.jsx';
import { price } from '../../price.js';

export const revalidate = 300;
/** None are known to a build; each is made when it is first asked for, and kept. */
export const generateStaticParams = () => [];

export default async function Product({ params }) {
  const { id } = await params;
  const one = await product(id);
  if (one === undefined) notFound();
  return (
    <>
      <article className="product">
        <span className={`sack large ${one.grain}`} aria-hidden="true">
          {one.name.slice(0, 1)}
        </span>
        <div>
          <h1>{one.name}</h1>
          <p>{one.about}</p>
          <p className="price" data-price>
            {price(one.price)}
          </p>
          <p className={one.stock > 0 ? 'stock' : 'stock none'} data-stock>
            {one.stock > 0 ? `${one.stock} sacks left` : 'sold out'}
          </p>
          <Buy id={id} soldOut={one.stock === 0} />
          <p>
            <Link href="/" prefetch={false}>
              back to the shelf
            </Link>
          </p>
        </div>
      </article>
      <Live of={`/Product/${id}`} renderedAt={Date.now()} />
    </>
  );
}
