import { createTheme, type MantineColorsTuple } from "@mantine/core";

const ink: MantineColorsTuple = [
  "#eef1fc",
  "#dbe1f7",
  "#b4c0ef",
  "#8b9ce7",
  "#687edf",
  "#4a64d8",
  "#2743b8",
  "#1f3699",
  "#192c7d",
  "#132262",
];

export const theme = createTheme({
  primaryColor: "ink",
  primaryShade: 6,
  colors: { ink },
  fontFamily: "var(--sans)",
  fontFamilyMonospace: "var(--mono)",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "15px", xl: "18px" },
  defaultRadius: 7,
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "xs" }, styles: { root: { fontWeight: 550, height: 30 } } },
    ActionIcon: { defaultProps: { variant: "subtle", color: "gray", size: 28 } },
    TextInput: { defaultProps: { size: "xs" } },
    PasswordInput: { defaultProps: { size: "xs" } },
    NumberInput: { defaultProps: { size: "xs" } },
    Textarea: { defaultProps: { size: "xs" } },
    Autocomplete: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs", allowDeselect: false, checkIconPosition: "right" } },
    MultiSelect: { defaultProps: { size: "xs" } },
    TagsInput: { defaultProps: { size: "xs" } },
    Switch: { defaultProps: { size: "xs" } },
    Checkbox: { defaultProps: { size: "xs" } },
    SegmentedControl: { defaultProps: { size: "xs" } },
    Modal: {
      defaultProps: {
        centered: true,
        radius: 12,
        overlayProps: { backgroundOpacity: 0.4, blur: 2 },
        transitionProps: { duration: 120 },
        closeButtonProps: { "aria-label": "Close" },
      },
    },
    Menu: { defaultProps: { transitionProps: { duration: 80 }, shadow: "none", radius: 9 } },
    Tooltip: { defaultProps: { openDelay: 350, transitionProps: { duration: 80 }, fz: 12 } },
  },
});
