import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { Project, Session } from "../api/types";

interface Here {
  session: Session;
  project: Project;
  may: (permission: string) => boolean;
}

const Context = createContext<Here | null>(null);

export function SessionProvider({
  session,
  project,
  children,
}: {
  session: Session;
  project: Project;
  children: ReactNode;
}) {
  const value = useMemo(() => {
    const permissions = new Set(session.permissions);
    return { session, project, may: (one: string) => permissions.has(one) };
  }, [session, project]);
  return <Context value={value}>{children}</Context>;
}

/** Who is looking, and at which project. `may` only hides what the server would refuse. */
export function useHere(): Here {
  const here = useContext(Context);
  if (!here) throw new Error("useHere outside of the shell");
  return here;
}
