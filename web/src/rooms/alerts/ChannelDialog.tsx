/** Makes a channel; a webhook's signing secret is shown once. */
import { Button, Modal, SegmentedControl, TagsInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import { Copy } from "../../ui/atoms";
import page from "../../ui/page.module.css";

export function ChannelDialog({ close }: { close: () => void }) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<"webhook" | "email">("webhook");
  const [url, setUrl] = useState("");
  const [addresses, setAddresses] = useState<string[]>([]);
  const create = useMutation({
    mutationFn: () =>
      take(
        api.POST("/api/v1/channels", {
          body: { name, kind, url: kind === "webhook" ? url : "", addresses: kind === "email" ? addresses : [] },
        }),
      ),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [project, "channels"] });
      if (!made.secret) close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const secret = create.data?.secret;
  if (secret)
    return (
      <Modal opened onClose={close} title="Copy the signing secret now" size={560} closeOnClickOutside={false}>
        <div className="stack">
          <p className="soft" style={{ margin: 0 }}>
            Each delivery is signed with it, so that the receiver knows it is from here. It is shown this once.
          </p>
          <div className={page.secret}>
            <code data-testid="channel-secret">{secret}</code>
            <Copy value={secret} label="Copy secret" size={28} />
          </div>
          <div className={page.foot}>
            <Button onClick={close}>I have copied it</Button>
          </div>
        </div>
      </Modal>
    );
  return (
    <Modal opened onClose={close} title="New channel" size={460}>
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="Name"
          placeholder="on-call"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
          data-autofocus
        />
        <SegmentedControl
          data={[
            { value: "webhook", label: "Webhook" },
            { value: "email", label: "E-mail" },
          ]}
          value={kind}
          onChange={(next) => setKind(next as "webhook" | "email")}
        />
        {kind === "webhook" ? (
          <TextInput
            label="URL"
            type="url"
            placeholder="https://hooks.example.com/octavo"
            value={url}
            onChange={(event) => setUrl(event.currentTarget.value)}
            required
          />
        ) : (
          <TagsInput label="Addresses" placeholder="ops@example.com" value={addresses} onChange={setAddresses} />
        )}
        {create.error && (
          <div className={page.result} data-ok="false" role="alert">
            {create.error.message}
          </div>
        )}
        <div className={page.foot}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={kind === "email" && addresses.length === 0}>
            Create channel
          </Button>
        </div>
      </form>
    </Modal>
  );
}
