import './globals.css';

/** Put into a build when it is made. */
const EDITION = process.env.NEXT_PUBLIC_EDITION ?? 'one';

export const metadata = { title: 'Millrace Mill', description: 'Flour, by the sack' };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>
        <header>
          <a className="brand" href="/">
            <Wheel />
            Millrace Mill
          </a>
          <span className="claim">flour, by the sack</span>
        </header>
        <main>{children}</main>
        <footer>
          Rendered by Next.js, kept by Millrace. Prices and stock are as of this moment: the page
          hears of each change. <span data-edition>Edition {EDITION}.</span>
        </footer>
      </body>
    </html>
  );
}

function Wheel() {
  const blades = [0, 45, 90, 135];
  return (
    <svg className="wheel" viewBox="-16 -16 32 32" aria-hidden="true">
      <circle r="11" />
      {blades.map((angle) => (
        <path key={angle} d="M-15 0H15" transform={`rotate(${angle})`} />
      ))}
    </svg>
  );
}
