import { Modal } from "@mantine/core";
import { Kbd } from "../ui/atoms";
import type { PageLink } from "./pages";
import css from "./shell.module.css";

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
        {[GENERAL, rows].map((list) => (
          <dl key={list[0]?.[0]}>
            {list.map(([keys, title]) => (
              <div key={keys}>
                <dt>{title}</dt>
                <dd>
                  {keys.split(" ").map((key, place) => (
                    <Kbd key={`${key}${place === 0 ? "" : "2"}`}>{key}</Kbd>
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
