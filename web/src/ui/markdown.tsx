import ReactMarkdown from "react-markdown";
import remarkGfm from "remark-gfm";

/** Model output is not to be trusted: no raw HTML, no remote images (they would report who reads), links open apart. */
export default function Rendered({ text }: { text: string }) {
  return (
    <ReactMarkdown
      remarkPlugins={[remarkGfm]}
      skipHtml
      urlTransform={(url) => (/^(https?:|mailto:)/i.test(url) ? url : "")}
      components={{
        a: ({ href, children }) =>
          href ? (
            <a href={href} target="_blank" rel="noopener noreferrer nofollow">
              {children}
            </a>
          ) : (
            <span>{children}</span>
          ),
        img: ({ src, alt }) => (
          <span className="muted">
            [image {alt} {typeof src === "string" ? src.slice(0, 80) : ""}]
          </span>
        ),
      }}
    >
      {text}
    </ReactMarkdown>
  );
}
