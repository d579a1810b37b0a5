import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { ApiError } from "../api/client";
import { Mark } from "../ui/atoms";
import { useLogIn } from "./session";
import css from "./shell.module.css";

function friendly(error: unknown): string {
  if (error instanceof ApiError && error.status === 401) return "That email and password do not match. Try again.";
  if (error instanceof ApiError && error.status === 429) return `Too many attempts. ${error.message}`;
  return error instanceof Error ? error.message : "Logging in failed.";
}

/** A path of this console to go on to, never another site. */
function safePath(path: string | undefined): string {
  return path?.startsWith("/") && !path.startsWith("//") && !path.startsWith("/\\") ? path : "/";
}

export function Login({ next }: { next?: string }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const navigate = useNavigate();
  const logIn = useLogIn();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    logIn.mutate({ email, password }, { onSuccess: () => void navigate({ href: safePath(next) }) });
  };
  return (
    <main className={css.login}>
      <form className={css.loginCard} onSubmit={submit}>
        <div className={css.loginBrand}>
          <Mark size={40} />
          <h1>Octavo</h1>
          <p>Every call to a model: traced, priced, governed.</p>
        </div>
        <TextInput
          label="Email"
          type="email"
          name="email"
          autoComplete="username"
          size="sm"
          required
          autoFocus
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          name="password"
          autoComplete="current-password"
          size="sm"
          required
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": "Show password" }}
        />
        <div role="alert" className={css.loginError}>
          {logIn.error ? friendly(logIn.error) : ""}
        </div>
        <Button type="submit" size="sm" h={36} fullWidth loading={logIn.isPending}>
          Log in
        </Button>
        <p className={css.loginHint}>
          First start? The server printed the administrator's email and password in its terminal.
        </p>
      </form>
    </main>
  );
}
