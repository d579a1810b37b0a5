import { Modal } from "@mantine/core";
import { Kbd } from "../ui/atoms";
import type { PageLink } from "./pages";
import css from "./shell.module.css";

const LIST: [string, string][] = [
  ["l", "Live tail of traces"],
  ["p", "Hold the live tail still"],
];

const TRACE: [string, string][] = [
  ["← →", "Fold or unfold a span"],
  ["e", "Next error (E: the one before)"],
  ["n", "Next match (N: the one before)"],
  ["c", "Only the critical path"],
  ["r", "Collapse repeated siblings"],
  ["1 2 3", "Waterfall, tree, timeline"],
  ["a", "Score or comment"],
];

const GENERAL: [string, string][] = [
  ["⌘ K", "Command palette"],
  ["/", "Search or filter"],
  ["j", "Next row or span"],
  ["k", "Previous row or span"],
  ["Enter", "Open the row"],
  ["[", "Previous trace"],
  ["]", "Next trace"],
  ["Esc", "Back, close"],
  ["\\", "Fold the navigation"],
  ["t t", "Light or dark"],
  ["?", "This help"],
];

export function Help({ opened, close, pages }: { opened: boolean; close: () => void; pages: PageLink[] }) {
  const rows: [string, string][] = pages.map((page) => [page.keys, page.title]);
  return (
    <Modal opened={opened} onClose={close} title="Keyboard" size={560}>
      <div className={css.help}>
        {[[...GENERAL, ...LIST, ...TRACE], rows].map((list) => (
          <dl key={list[0]?.[0]}>
            {list.map(([keys, title]) => (
              <div key={keys}>
                <dt>{title}</dt>
                <dd>
                  {keys.split(" ").map((key, place) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: "t t" holds a key twice
                    <Kbd key={place}>{key}</Kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        ))}
      </div>
    </Modal>
  );
}
