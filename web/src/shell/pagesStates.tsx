import { Button } from "@mantine/core";
import { IconMapPinOff } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { Empty, Failure, Loading } from "../ui/states";

export function RoomLoading() {
  return <Loading rows={10} />;
}

export function RoomError({ error, reset }: { error: unknown; reset: () => void }) {
  return <Failure error={error} retry={reset} />;
}

export function Missing() {
  return (
    <Empty
      icon={IconMapPinOff}
      title="There is no such page"
      action={
        <Button component={Link} to="/" variant="default">
          Go home
        </Button>
      }
    >
      The address may be mistyped, or what it named is gone.
    </Empty>
  );
}
