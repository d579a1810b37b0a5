/** What the project keeps and for how long; its environments. */
import { Button, NumberInput, Radio, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import type { Project } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { CopyId, EnvironmentTag, PageHead, Panel } from "../../ui/atoms";
import page from "../../ui/page.module.css";
import { Loaded } from "../../ui/states";

const CAPTURE: { value: Project["capture"]; label: string; description: string }[] = [
  { value: "full", label: "Everything", description: "Inputs, outputs and all numbers." },
  { value: "metadata", label: "Metadata only", description: "Model, tokens, cost, latency, errors; no contents." },
  { value: "none", label: "Nothing", description: "Calls pass through and leave no span." },
];

export function ProjectSettings() {
  const { project, may } = useHere();
  return (
    <div className={`${page.page} ${page.narrow}`}>
      <PageHead title="Project settings" note={<CopyId value={project.id} label="project id" chars={16} />} />
      <Form key={project.id} project={project} write={may("projects.write")} />
      <Environments write={may("projects.write")} />
    </div>
  );
}

function Form({ project, write }: { project: Project; write: boolean }) {
  const { api } = useApi();
  const queries = useQueryClient();
  const [name, setName] = useState(project.name);
  const [capture, setCapture] = useState(project.capture);
  const [masks, setMasks] = useState(project.masks.join("\n"));
  const [days, setDays] = useState(project.retention_days);
  const save = useMutation({
    mutationFn: () =>
      take(
        api.PATCH("/api/v1/projects/{project_id}", {
          params: { path: { project_id: project.id } },
          body: { name, capture, masks: masks.split("\n").filter((line) => line.trim() !== ""), retention_days: days },
        }),
      ),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["projects"] });
      notifications.show({ message: "Saved. It holds from the next call on." });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Panel title="What is kept">
      <form onSubmit={submit} className="stack" style={{ gap: 16 }}>
        <div className={page.two}>
          <TextInput
            label="Name"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            disabled={!write}
            required
          />
          <NumberInput
            label="Retention, days"
            min={1}
            max={3650}
            value={days}
            onChange={(next) => setDays(Number(next))}
            disabled={!write}
          />
        </div>
        <Radio.Group
          label="Capture"
          value={capture}
          onChange={(next) => setCapture(next as Project["capture"])}
          readOnly={!write}
        >
          <div className="stack" style={{ gap: 8, marginTop: 4 }}>
            {CAPTURE.map((one) => (
              <Radio key={one.value} size="xs" {...one} disabled={!write} />
            ))}
          </div>
        </Radio.Group>
        <Textarea
          label="Masks"
          description="Regular expressions, one a line. What matches is stored as [MASKED]; the provider still gets it."
          placeholder={"\\b\\d{13,16}\\b\n[\\w.]+@[\\w.]+"}
          value={masks}
          onChange={(event) => setMasks(event.currentTarget.value)}
          autosize
          minRows={3}
          disabled={!write}
          styles={{ input: { fontFamily: "var(--mono)" } }}
        />
        {save.error && (
          <div className={page.result} data-ok="false" role="alert">
            {save.error.message}
          </div>
        )}
        {write && (
          <div className={page.foot}>
            <Button type="submit" loading={save.isPending}>
              Save
            </Button>
          </div>
        )}
      </form>
    </Panel>
  );
}

function Environments({ write }: { write: boolean }) {
  const { api, project } = useApi();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const environments = useQuery({
    queryKey: [project, "environments"],
    queryFn: () => take(api.GET("/api/v1/environments")),
  });
  const add = useMutation({
    mutationFn: () => take(api.POST("/api/v1/environments", { body: { name } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [project, "environments"] });
      setName("");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <Panel title="Environments" note="an API key belongs to one">
      <Loaded query={environments} rows={2}>
        {({ data }) => (
          <div className="row wrap" style={{ gap: 16, marginBottom: 14 }}>
            {data.map((one) => (
              <EnvironmentTag key={one.name} name={one.name} />
            ))}
          </div>
        )}
      </Loaded>
      {write && (
        <form onSubmit={submit} className="row" style={{ alignItems: "flex-start" }}>
          <TextInput
            aria-label="Name of the new environment"
            placeholder="preview"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={add.error?.message}
            w={260}
          />
          <Button type="submit" variant="default" loading={add.isPending} disabled={name === ""}>
            Add environment
          </Button>
        </form>
      )}
    </Panel>
  );
}
