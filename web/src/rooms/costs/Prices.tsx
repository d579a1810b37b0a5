/** What tokens cost: the models this project can call, its own rules, the shipped table. */
import { ActionIcon, Button, Modal, TextInput } from "@mantine/core";
import { IconCoins, IconPlus, IconSearch, IconTrash } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { take, useApi, useKept } from "../../api/client";
import type { Rates } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { PageHead, Panel, Pill, Time } from "../../ui/atoms";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";

const RATES = [
  ["input", "Input"],
  ["output", "Output"],
  ["cache_read", "Cache read"],
  ["cache_write", "Cache write"],
  ["reasoning", "Reasoning"],
] as const;

function Rate({ value }: { value: string | null | undefined }) {
  if (value === null || value === undefined) return <span className="muted">–</span>;
  return <>${value}</>;
}

function RateCells({ rates }: { rates: Rates }) {
  return RATES.map(([bucket]) => (
    <td key={bucket} data-right>
      <Rate value={rates[bucket]} />
    </td>
  ));
}

function RateHeads() {
  return RATES.map(([bucket, title]) => (
    <th key={bucket} data-right>
      {title}
    </th>
  ));
}

export function Prices() {
  const { may } = useHere();
  const [adding, add] = useState<{ model: string; provider: string } | null>(null);
  return (
    <div className={page.page}>
      <PageHead title="Prices" note="US dollars per million tokens">
        {may("costs.write") && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => add({ model: "", provider: "*" })}>
            New price rule
          </Button>
        )}
      </PageHead>
      <Callable price={(model, provider) => add({ model, provider })} />
      <Rules />
      <Table />
      {adding && <RuleDialog {...adding} close={() => add(null)} />}
    </div>
  );
}

function Callable({ price }: { price: (model: string, provider: string) => void }) {
  const { api, project } = useApi();
  const { may } = useHere();
  const models = useQuery({ queryKey: [project, "models"], queryFn: () => take(api.GET("/api/v1/models")) });
  return (
    <Panel title="Models this project can call" flush>
      <Loaded query={models} rows={4}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty icon={IconCoins} title="None known yet">
              Connect a provider and test it; its models are listed here with what they cost.
            </Empty>
          ) : (
            <div className={ui.tableWrap} style={{ maxHeight: 380, overflowY: "auto" }}>
              <table className={ui.table}>
                <thead>
                  <tr>
                    <th>Model</th>
                    <th>Through</th>
                    <RateHeads />
                    <th>Price from</th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((one) => (
                    <tr key={`${one.model}${one.connection}`}>
                      <td className="mono">{one.model}</td>
                      <td className="soft">
                        {one.connection}
                        {one.upstream_model && one.upstream_model !== one.model && (
                          <span className="muted"> / {one.upstream_model}</span>
                        )}
                      </td>
                      {one.rates ? (
                        <>
                          <RateCells rates={one.rates} />
                          <td className="soft">{one.price_source}</td>
                        </>
                      ) : (
                        <>
                          <td colSpan={RATES.length} data-right>
                            <Pill tone="warn">unknown price</Pill>
                          </td>
                          <td>
                            {may("costs.write") && (
                              <Button
                                variant="subtle"
                                onClick={() => price(one.upstream_model || one.model, one.provider)}
                              >
                                Set a price
                              </Button>
                            )}
                          </td>
                        </>
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Loaded>
    </Panel>
  );
}

function Rules() {
  const { api, project } = useApi();
  const { may } = useHere();
  const queries = useQueryClient();
  const rules = useQuery({ queryKey: [project, "price-rules"], queryFn: () => take(api.GET("/api/v1/price-rules")) });
  const remove = useMutation({
    mutationFn: (id: string) =>
      take(api.DELETE("/api/v1/price-rules/{rule_id}", { params: { path: { rule_id: id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: [project] }),
  });
  if (rules.data?.data.length === 0) return null;
  return (
    <Panel title="Own price rules" note="go before the shipped table while in force" flush>
      <Loaded query={rules} rows={2}>
        {({ data }) => (
          <div className={ui.tableWrap}>
            <table className={ui.table}>
              <thead>
                <tr>
                  <th>Model</th>
                  <th>Provider</th>
                  <RateHeads />
                  <th>In force</th>
                  <th>Note</th>
                  <th aria-label="Actions" />
                </tr>
              </thead>
              <tbody>
                {data.map((rule) => (
                  <tr key={rule.id}>
                    <td className="mono">{rule.model}</td>
                    <td className="soft">{rule.provider}</td>
                    <RateCells rates={rule.rates} />
                    <td className="soft">
                      <Time value={rule.effective_from} />
                      {rule.effective_to && (
                        <>
                          {" "}
                          to <Time value={rule.effective_to} />
                        </>
                      )}
                      {rule.batch && <Pill>batch</Pill>}
                    </td>
                    <td className="soft truncate" style={{ maxWidth: 220 }} title={rule.note}>
                      {rule.note}
                    </td>
                    <td data-right>
                      {may("costs.write") && (
                        <ActionIcon
                          aria-label={`Delete the price of ${rule.model}`}
                          onClick={() => remove.mutate(rule.id)}
                        >
                          <IconTrash size={15} />
                        </ActionIcon>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
    </Panel>
  );
}

function Table() {
  const { api, project } = useApi();
  const kept = useKept();
  const search = useSearch({ strict: false }) as { model?: string; provider?: string };
  const navigate = useNavigate();
  const model = search.model ?? "";
  const provider = search.provider ?? "";
  const prices = useInfiniteQuery({
    queryKey: [project, "prices", model, provider],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      take(
        api.GET("/api/v1/prices", {
          params: { query: { model, provider, limit: 50, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: kept,
  });
  const change = (patch: { model?: string; provider?: string }) =>
    void navigate({ to: ".", search: ((before: object) => ({ ...before, ...patch })) as never, replace: true });
  const rows = prices.data?.pages.flatMap((one) => one.data);
  return (
    <Panel
      title="Shipped price table"
      flush
      actions={
        <>
          <TextInput
            aria-label="Provider"
            placeholder="Provider"
            w={120}
            defaultValue={provider}
            onChange={(event) => change({ provider: event.currentTarget.value || undefined })}
          />
          <TextInput
            aria-label="Model"
            placeholder="Model"
            w={180}
            leftSection={<IconSearch size={13} />}
            defaultValue={model}
            onChange={(event) => change({ model: event.currentTarget.value || undefined })}
          />
        </>
      }
    >
      <Loaded query={{ ...prices, data: rows }}>
        {(data) =>
          data.length === 0 ? (
            <Empty icon={IconCoins} title="No such model in the table">
              A call to it has an unknown cost until you set a price rule.
            </Empty>
          ) : (
            <div className={ui.tableWrap}>
              <table className={ui.table}>
                <thead>
                  <tr>
                    <th>Model</th>
                    <th>Provider</th>
                    <RateHeads />
                  </tr>
                </thead>
                <tbody>
                  {data.map((one, place) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: a model may have several lines
                    <tr key={`${one.provider}${one.model}${place}`}>
                      <td className="mono">{one.model}</td>
                      <td className="soft">{one.provider}</td>
                      <RateCells rates={one.rates} />
                    </tr>
                  ))}
                </tbody>
              </table>
              {prices.hasNextPage && (
                <div style={{ padding: 8, textAlign: "center" }}>
                  <Button
                    variant="subtle"
                    onClick={() => void prices.fetchNextPage()}
                    loading={prices.isFetchingNextPage}
                  >
                    Load more
                  </Button>
                </div>
              )}
            </div>
          )
        }
      </Loaded>
    </Panel>
  );
}

function RuleDialog({ model, provider, close }: { model: string; provider: string; close: () => void }) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const [name, setName] = useState(model);
  const [by, setBy] = useState(provider);
  const [note, setNote] = useState("");
  const [rates, setRates] = useState<Record<string, string>>({});
  const save = useMutation({
    mutationFn: () =>
      take(
        api.POST("/api/v1/price-rules", {
          body: {
            model: name,
            provider: by,
            note,
            batch: false,
            rates: {
              request: "0",
              ...Object.fromEntries(Object.entries(rates).filter(([, value]) => value !== "")),
            },
          },
        }),
      ),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project] });
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={close} title="New price rule" size={520}>
      <form onSubmit={submit} className="stack">
        <div className={page.two}>
          <TextInput
            label="Model"
            description="A name or glob."
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            required
            data-autofocus
          />
          <TextInput
            label="Provider"
            description="A provider, a connection, or *."
            value={by}
            onChange={(event) => setBy(event.currentTarget.value)}
            required
          />
        </div>
        <div className={page.three}>
          {RATES.map(([bucket, title]) => (
            <TextInput
              key={bucket}
              label={title}
              leftSection="$"
              inputMode="decimal"
              placeholder={bucket === "input" || bucket === "output" ? "" : "as its base"}
              value={rates[bucket] ?? ""}
              onChange={(event) => setRates({ ...rates, [bucket]: event.currentTarget.value })}
              required={bucket === "input" || bucket === "output"}
            />
          ))}
          <TextInput
            label="Each call"
            leftSection="$"
            inputMode="decimal"
            value={rates.request ?? ""}
            onChange={(event) => setRates({ ...rates, request: event.currentTarget.value })}
          />
        </div>
        <TextInput label="Note" value={note} onChange={(event) => setNote(event.currentTarget.value)} />
        <p className="muted" style={{ margin: 0 }}>
          US dollars per million tokens, in force from now. Calls already priced keep their cost.
        </p>
        {save.error && (
          <div className={page.result} data-ok="false" role="alert">
            {save.error.message}
          </div>
        )}
        <div className={page.foot}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            Save price
          </Button>
        </div>
      </form>
    </Modal>
  );
}
