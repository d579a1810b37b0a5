import { Button, Modal, MultiSelect, Select, TagsInput, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import type { ApiKeyCreated } from "../../api/types";
import { useScope } from "../../shell/scope";
import { useHere } from "../../shell/sessionContext";
import { Copy } from "../../ui/atoms";
import { FirstCall } from "../../ui/FirstCall";
import page from "../../ui/page.module.css";

const DAY_MS = 86_400_000;
const EXPIRY = [
  { value: "", label: "Never" },
  { value: "7", label: "In 7 days" },
  { value: "30", label: "In 30 days" },
  { value: "90", label: "In 90 days" },
  { value: "365", label: "In a year" },
];
const DEFAULT = "gateway.call,scores.write,traces.read,traces.write";

export function KeyDialog({ close }: { close: () => void }) {
  const [made, setMade] = useState<ApiKeyCreated | null>(null);
  return (
    <Modal
      opened
      onClose={close}
      title={made ? "Copy the secret now" : "New API key"}
      size={made ? 640 : 480}
      closeOnClickOutside={made === null}
    >
      {made ? <Made made={made} close={close} /> : <Form done={setMade} close={close} />}
    </Modal>
  );
}

function Form({ done, close }: { done: (made: ApiKeyCreated) => void; close: () => void }) {
  const { api, project } = useApi();
  const { session } = useHere();
  const scope = useScope();
  const queries = useQueryClient();
  const environments = useQuery({
    queryKey: [project, "environments"],
    queryFn: () => take(api.GET("/api/v1/environments")),
  });
  const [name, setName] = useState("");
  const [environment, setEnvironment] = useState(scope.env || "development");
  const [days, setDays] = useState("");
  const [models, setModels] = useState<string[]>([]);
  const grantable = session.permissions.filter((one) => one !== "any" && one !== "public");
  const [scopes, setScopes] = useState<string[]>(DEFAULT.split(",").filter((one) => grantable.includes(one)));
  const create = useMutation({
    mutationFn: () =>
      take(
        api.POST("/api/v1/api-keys", {
          body: {
            name,
            environment,
            scopes: scopes as never,
            allowed_models: models,
            allowed_apps: [],
            expires_at: days ? new Date(Date.now() + Number(days) * DAY_MS).toISOString() : null,
          },
        }),
      ),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [project, "keys"] });
      done(made);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <form onSubmit={submit} className="stack">
      <TextInput
        label="Name"
        placeholder="support-bot in production"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        data-autofocus
      />
      <div className={page.two}>
        <Select
          label="Environment"
          data={environments.data?.data.map((one) => one.name) ?? [environment]}
          value={environment}
          onChange={(next) => next && setEnvironment(next)}
        />
        <Select label="Expires" data={EXPIRY} value={days} onChange={(next) => setDays(next ?? "")} />
      </div>
      <MultiSelect
        label="Scopes"
        description="What the key may do. The default is what an application needs."
        data={grantable}
        value={scopes}
        onChange={setScopes}
        searchable
        hidePickedOptions
      />
      <TagsInput
        label="Models"
        description="Names or globs it may call. Empty: all."
        placeholder={models.length === 0 ? "gpt-4.1*" : ""}
        value={models}
        onChange={setModels}
      />
      {create.error && (
        <div className={page.result} data-ok="false" role="alert">
          {create.error.message}
        </div>
      )}
      <div className={page.foot}>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" loading={create.isPending} disabled={scopes.length === 0}>
          Create key
        </Button>
      </div>
    </form>
  );
}

function Made({ made, close }: { made: ApiKeyCreated; close: () => void }) {
  const { api, project } = useApi();
  const models = useQuery({ queryKey: [project, "models"], queryFn: () => take(api.GET("/api/v1/models")) });
  return (
    <div className="stack">
      <p className="soft" style={{ margin: 0 }}>
        This is the only time the secret of <b>{made.name}</b> is shown. The server keeps only its hash.
      </p>
      <div className={page.secret}>
        <code data-testid="secret-key">{made.secret_key}</code>
        <Copy value={made.secret_key} label="Copy secret key" size={28} />
      </div>
      <div className="row soft">
        Public key <code className="mono">{made.public_key}</code>
        <Copy value={made.public_key} label="Copy public key" />
      </div>
      <FirstCall secret={made.secret_key} publicKey={made.public_key} model={models.data?.data[0]?.model} />
      <div className={page.foot}>
        <Button onClick={close}>I have copied it</Button>
      </div>
    </div>
  );
}
