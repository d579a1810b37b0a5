/** Add or change a connection; the fields are those the provider declares. */
import { Button, Modal, PasswordInput, Select, Switch, TagsInput, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import type { Connection, Provider } from "../../api/types";
import page from "../../ui/page.module.css";

type Option = Provider["options"][number];

export function ConnectionDialog({
  provider,
  connection,
  close,
}: {
  provider: Provider;
  connection?: Connection;
  close: () => void;
}) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const [name, setName] = useState(connection?.name ?? provider.kind.replace(/_/g, "-"));
  const [baseUrl, setBaseUrl] = useState(connection?.base_url ?? "");
  const [secret, setSecret] = useState("");
  const [models, setModels] = useState<string[]>(connection?.models ?? []);
  const [pricesAs, setPricesAs] = useState(connection?.prices_as ?? "");
  const [isDefault, setDefault] = useState(connection?.is_default ?? false);
  const [options, setOptions] = useState<Record<string, string>>(() =>
    Object.fromEntries(provider.options.map((one) => [one.name, shown(connection?.options[one.name], one.default)])),
  );
  const save = useMutation({
    mutationFn: () => {
      const shared = {
        name,
        base_url: baseUrl,
        models,
        prices_as: pricesAs,
        is_default: isDefault,
        options: sent(provider.options, options),
        ...(secret !== "" && { secret }),
      };
      return connection
        ? take(
            api.PATCH("/api/v1/connections/{connection_id}", {
              params: { path: { connection_id: connection.id } },
              body: shared,
            }),
          )
        : take(api.POST("/api/v1/connections", { body: { ...shared, provider: provider.kind } }));
    },
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: [project] });
      notifications.show({
        message: `${saved.name} is ${connection ? "changed" : "connected"}. Test it to see its models.`,
      });
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal
      opened
      onClose={close}
      title={connection ? `Edit ${connection.name}` : `Connect ${provider.title}`}
      size={520}
    >
      <form onSubmit={submit} className="stack">
        <TextInput
          label="Name"
          description="Lower-case letters, digits and hyphens; routes and prices refer to it."
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
          data-autofocus
        />
        <TextInput
          label="Base URL"
          placeholder={provider.default_base_url || "https://…"}
          description={provider.default_base_url ? "Leave empty for the provider's own." : undefined}
          value={baseUrl}
          onChange={(event) => setBaseUrl(event.currentTarget.value)}
          required={provider.default_base_url === "" && ["openai_compatible", "vllm", "azure"].includes(provider.kind)}
        />
        {provider.kind !== "local" && (
          <PasswordInput
            label="Key"
            description={provider.secret_help || (provider.needs_secret ? undefined : "If the server asks for one.")}
            placeholder={connection?.has_secret ? `…${connection.secret_last4} (leave empty to keep)` : ""}
            value={secret}
            onChange={(event) => setSecret(event.currentTarget.value)}
            required={provider.needs_secret && !connection?.has_secret}
            autoComplete="off"
          />
        )}
        {provider.options.map((option) => (
          <OptionInput
            key={option.name}
            option={option}
            kept={connection?.secret_options.includes(option.name) ?? false}
            value={options[option.name] ?? ""}
            change={(value) => setOptions({ ...options, [option.name]: value })}
          />
        ))}
        <TagsInput
          label="Models"
          description={
            provider.models.length > 0
              ? `Names or globs it serves without a route. Empty: ${provider.models.join(", ")}`
              : "Names or globs it serves without a route."
          }
          value={models}
          onChange={setModels}
          placeholder={models.length === 0 ? "llama-*" : ""}
        />
        <TextInput
          label="Prices as"
          description="A provider of the price table when it differs, or “free”."
          value={pricesAs}
          onChange={(event) => setPricesAs(event.currentTarget.value)}
        />
        <Switch
          label="Default: takes models that nobody else claims"
          checked={isDefault}
          onChange={(event) => setDefault(event.currentTarget.checked)}
        />
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
            {connection ? "Save" : "Connect"}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** An option's value as the text its input holds: a map one pair a line, a list with commas. */
function shown(value: unknown, otherwise: string): string {
  if (value === undefined || value === null) return otherwise;
  if (Array.isArray(value)) return value.join(",");
  if (typeof value === "object")
    return Object.entries(value)
      .map(([name, one]) => `${name}: ${one}`)
      .join("\n");
  return String(value);
}

function meant(option: Option, text: string): unknown {
  switch (option.kind) {
    case "flag":
      return text === "true";
    case "number":
      return Number(text);
    case "list":
      return text.split(",").filter(Boolean);
    case "map":
      return Object.fromEntries(
        text
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean)
          .map((line) => {
            const colon = line.indexOf(":");
            return colon < 0 ? [line, ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
          }),
      );
  }
  return text;
}

/** Options as the API takes them; one left empty is not sent. */
function sent(declared: Option[], typed: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    declared
      .map((option) => ({ option, text: typed[option.name] ?? "" }))
      .filter(({ text }) => text !== "")
      .map(({ option, text }) => [option.name, meant(option, text)]),
  );
}

function OptionInput({
  option,
  value,
  change,
  kept,
}: {
  option: Option;
  value: string;
  change: (value: string) => void;
  kept: boolean;
}) {
  const shared = {
    label: option.title,
    description: option.help || undefined,
    required: option.required && !kept,
    placeholder: kept ? "stored (leave empty to keep)" : option.default,
  };
  switch (option.kind) {
    case "choice":
      return <Select {...shared} data={option.choices} value={value || null} onChange={(next) => change(next ?? "")} />;
    case "flag":
      return (
        <Switch
          label={option.title}
          description={option.help}
          checked={value === "true"}
          onChange={(event) => change(String(event.currentTarget.checked))}
        />
      );
    case "list":
      return (
        <TagsInput
          {...shared}
          value={value ? value.split(",") : []}
          onChange={(next) => change(next.join(","))}
          placeholder=""
        />
      );
    case "map":
      return (
        <Textarea
          {...shared}
          placeholder={kept ? shared.placeholder : "name: value, one a line"}
          autosize
          minRows={1}
          value={value}
          onChange={(event) => change(event.currentTarget.value)}
        />
      );
    case "secret":
      return (
        <PasswordInput
          {...shared}
          value={value}
          onChange={(event) => change(event.currentTarget.value)}
          autoComplete="off"
        />
      );
  }
  return (
    <TextInput
      {...shared}
      inputMode={option.kind === "number" ? "decimal" : undefined}
      value={value}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}
