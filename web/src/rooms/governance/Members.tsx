/** Who can log in, and what they may do. */
import { ActionIcon, Button, Menu, Modal, PasswordInput, Select, TextInput } from "@mantine/core";
import { IconDots, IconPlus, IconUsers } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { take, useApi } from "../../api/client";
import type { User } from "../../api/types";
import { useHere } from "../../shell/sessionContext";
import { PageHead, Panel, Pill, Time } from "../../ui/atoms";
import { Confirm } from "../../ui/Confirm";
import page from "../../ui/page.module.css";
import { Empty, Loaded } from "../../ui/states";
import ui from "../../ui/ui.module.css";

const ROLES: { value: User["role"]; label: string }[] = [
  { value: "owner", label: "Owner: everything" },
  { value: "admin", label: "Admin: all but owners" },
  { value: "developer", label: "Developer: reads and writes" },
  { value: "viewer", label: "Viewer: reads" },
  { value: "member", label: "Member: by project only" },
];

export function Members() {
  const { api, project } = useApi();
  const here = useHere();
  const queries = useQueryClient();
  const users = useQuery({ queryKey: ["users", project], queryFn: () => take(api.GET("/api/v1/users")) });
  const [adding, add] = useState(false);
  const [removing, remove] = useState<User | null>(null);
  const refresh = () => queries.invalidateQueries({ queryKey: ["users"] });
  const change = useMutation({
    mutationFn: ({
      user,
      body,
    }: {
      user: User;
      body: { role?: User["role"]; disabled?: boolean; memberships?: User["memberships"] };
    }) => take(api.PATCH("/api/v1/users/{user_id}", { params: { path: { user_id: user.id } }, body })),
    onSuccess: refresh,
  });
  const deletion = useMutation({
    mutationFn: (user: User) => take(api.DELETE("/api/v1/users/{user_id}", { params: { path: { user_id: user.id } } })),
    onSuccess: async () => {
      await refresh();
      remove(null);
    },
  });
  const write = here.may("users.write");
  return (
    <div className={page.page}>
      <PageHead title="Members" note="Everybody who can log in to this server.">
        {write && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => add(true)}>
            Add member
          </Button>
        )}
      </PageHead>
      {change.error && (
        <div className={page.result} data-ok="false" role="alert">
          {change.error.message}
        </div>
      )}
      <Panel flush>
        <Loaded query={users}>
          {({ data }) =>
            data.length === 0 ? (
              <Empty icon={IconUsers} title="Nobody yet" />
            ) : (
              <div className={ui.tableWrap}>
                <table className={ui.table}>
                  <thead>
                    <tr>
                      <th>Name</th>
                      <th>Email</th>
                      <th>Role</th>
                      <th>In {here.project.name}</th>
                      <th>Added</th>
                      <th aria-label="Actions" />
                    </tr>
                  </thead>
                  <tbody>
                    {data.map((user) => {
                      const self = user.id === here.session.user.id;
                      return (
                        <tr key={user.id} className={user.disabled ? page.gone : undefined}>
                          <td>
                            <b>{user.name || "–"}</b> {self && <Pill tone="accent">you</Pill>}{" "}
                            {user.disabled && <Pill tone="bad">disabled</Pill>}
                          </td>
                          <td className="soft">{user.email}</td>
                          <td className="soft">{user.role}</td>
                          <td className="soft">
                            {user.memberships[here.project.id] ?? (user.role === "member" ? "no access" : user.role)}
                          </td>
                          <td className="soft">
                            <Time value={user.created_at} />
                          </td>
                          <td data-right>
                            {write && !self && (
                              <Menu position="bottom-end" width={220}>
                                <Menu.Target>
                                  <ActionIcon aria-label={`More about ${user.email}`}>
                                    <IconDots size={16} />
                                  </ActionIcon>
                                </Menu.Target>
                                <Menu.Dropdown>
                                  <Menu.Label>Role everywhere</Menu.Label>
                                  {ROLES.map((role) => (
                                    <Menu.Item
                                      key={role.value}
                                      onClick={() => change.mutate({ user, body: { role: role.value } })}
                                    >
                                      {role.label}
                                    </Menu.Item>
                                  ))}
                                  <Menu.Divider />
                                  <Menu.Item
                                    onClick={() => change.mutate({ user, body: { disabled: !user.disabled } })}
                                  >
                                    {user.disabled ? "Enable" : "Disable"}
                                  </Menu.Item>
                                  <Menu.Item color="red" onClick={() => remove(user)}>
                                    Delete
                                  </Menu.Item>
                                </Menu.Dropdown>
                              </Menu>
                            )}
                          </td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
            )
          }
        </Loaded>
      </Panel>
      {adding && <AddMember close={() => add(false)} />}
      <Confirm
        opened={removing !== null}
        close={() => remove(null)}
        title={`Delete ${removing?.email ?? ""}?`}
        action="Delete member"
        run={() => removing && deletion.mutate(removing)}
        pending={deletion.isPending}
        error={deletion.error}
      >
        Their sessions end at once. What they did stays in the audit events.
      </Confirm>
    </div>
  );
}

function AddMember({ close }: { close: () => void }) {
  const { api } = useApi();
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<User["role"]>("developer");
  const create = useMutation({
    mutationFn: () => take(api.POST("/api/v1/users", { body: { email, name, password, role, memberships: {} } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["users"] });
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Modal opened onClose={close} title="Add member">
      <form onSubmit={submit} className="stack">
        <TextInput
          label="Email"
          type="email"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          required
          data-autofocus
        />
        <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <PasswordInput
          label="First password"
          description="Tell it to them; they can change it in their account menu."
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          required
        />
        <Select label="Role" data={ROLES} value={role} onChange={(next) => next && setRole(next as User["role"])} />
        {create.error && (
          <div className={page.result} data-ok="false" role="alert">
            {create.error.message}
          </div>
        )}
        <div className={page.foot}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Add member
          </Button>
        </div>
      </form>
    </Modal>
  );
}
