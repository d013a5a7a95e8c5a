package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forja/engine/recipe"
)

//go:embed recipes/*.yaml
var embedded embed.FS

type flagT = pflag.Flag

// embeddedRecipes lists the names of the recipes in the binary.
func embeddedRecipes() (names []string) {
	entries, err := fs.ReadDir(embedded, "recipes")
	if err != nil {
		panic(err) // the directory is embedded
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// readRecipe finds a recipe: a file, or the name of an embedded one.
func readRecipe(name string) (file string, src []byte, err error) {
	if b, err := embedded.ReadFile("recipes/" + name + ".yaml"); err == nil {
		return name + ".yaml", b, nil
	}
	b, err := os.ReadFile(name)
	if err == nil {
		return name, b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return name, nil, usageError{err}
	}
	hint := ""
	if s := recipe.Suggest(name, embeddedRecipes()); s != "" {
		hint = fmt.Sprintf("\n   did you mean %q?", s)
	}
	return name, nil, usagef("there is no recipe %q, neither a file nor built in%s\n   built in: %s", name, hint, strings.Join(embeddedRecipes(), ", "))
}

// A setting is one recipe key given as a flag.
type setting struct{ key, value string }

// A keyFlag collects settings in the order in which they are given.
type keyFlag struct {
	key  recipe.Key
	into *[]setting
}

func (f keyFlag) String() string { return "" }
func (f keyFlag) Type() string   { return f.key.Type }
func (f keyFlag) Set(v string) error {
	*f.into = append(*f.into, setting{f.key.Name, v})
	return nil
}

// addKeys makes every recipe key that the given kinds of stage read a flag.
func addKeys(c *cobra.Command, into *[]setting, kinds ...string) {
	for _, k := range recipe.Keys() {
		if len(k.Kinds) > 0 && len(kinds) > 0 && !intersects(k.Kinds, kinds) || k.Name == "kind" || k.Name == "version" || k.Name == "needs" {
			continue
		}
		if c.Flags().Lookup(k.Name) == nil {
			c.Flags().Var(keyFlag{k, into}, k.Name, k.Doc)
		}
	}
}

// addSection makes the keys of one section flags, for a verb that knows by other means what the rest of a stage says.
func addSection(c *cobra.Command, into *[]setting, section string) {
	for _, k := range recipe.Keys() {
		if strings.HasPrefix(k.Name, section+".") {
			c.Flags().Var(keyFlag{k, into}, k.Name, k.Doc)
			c.Flags().Lookup(k.Name).DefValue = k.Default // for --help: there is no other recipe, as a rule
		}
	}
}

// sectionOf is a stage of a kind of which a verb uses one section: what flags say, then a recipe, then the defaults.
func sectionOf(name, kind string, settings []setting) (*recipe.Stage, error) {
	r, err := loadRecipe(name, kind, append(slices.Clone(settings), setting{"data.path", "-"})) // which the verb knows
	if err != nil {
		return nil, err
	}
	return &r.Stage, nil
}

// addStageKeys also accepts --stages.NAME.KEY. Stages have any names, so what is accepted is what args contain; the
// recipe decides whether it exists.
func addStageKeys(c *cobra.Command, into *[]setting, args []string) {
	addKeys(c, into)
	for _, arg := range args {
		name, ok := strings.CutPrefix(arg, "--")
		name, _, _ = strings.Cut(name, "=")
		if ok && strings.HasPrefix(name, "stages.") && c.Flags().Lookup(name) == nil {
			c.Flags().Var(keyFlag{recipe.Key{Name: name, Type: "value"}, into}, name, "key of one stage")
			_ = c.Flags().MarkHidden(name)
		}
	}
}

func intersects(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// loadRecipe reads a recipe, or starts from the defaults if name is empty, applies flags, and resolves it as kind; an
// empty kind leaves it as it is.
func loadRecipe(name, kind string, settings []setting) (*recipe.Recipe, error) {
	r := recipe.New("flags")
	if name != "" {
		file, src, err := readRecipe(name)
		if err != nil {
			return nil, err
		}
		if r, err = recipe.Parse(file, src); err != nil {
			return nil, err
		}
	}
	for _, s := range settings {
		if err := r.Set(s.key, s.value); err != nil {
			return nil, err
		}
	}
	if kind != "" {
		if err := r.As(kind); err != nil {
			return nil, err
		}
	}
	return r, r.Resolve()
}

func (a *app) recipesCmd() *cobra.Command {
	c := &cobra.Command{Use: "recipes", Short: "list, show or copy the built-in recipes"}
	c.AddCommand(&cobra.Command{Use: "list", Short: "list the built-in recipes", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		type entry struct {
			Name string `json:"name"`
			Doc  string `json:"doc"`
		}
		var list []entry
		for _, n := range embeddedRecipes() {
			_, src, err := readRecipe(n)
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(string(src), "\n")
			_, doc, _ := strings.Cut(strings.TrimLeft(first, "# "), ": ")
			list = append(list, entry{n, doc})
		}
		return a.print(list, func(w io.Writer) {
			for _, e := range list {
				fmt.Fprintf(w, "%-12s %s\n", e.Name, e.Doc)
			}
		})
	}})
	var settings []setting
	show := &cobra.Command{Use: "show RECIPE", Short: "print a recipe, with every default filled in by --resolved", Args: cobra.ExactArgs(1)}
	resolved := show.Flags().Bool("resolved", false, "fill in the defaults and check the rules")
	addStageKeys(show, &settings, a.args)
	show.RunE = func(_ *cobra.Command, args []string) error {
		_, src, err := readRecipe(args[0])
		if err != nil {
			return err
		}
		if *resolved || len(settings) > 0 {
			r, err := loadRecipe(args[0], "", settings)
			if err != nil {
				return err
			}
			src = r.Marshal()
		}
		_, err = a.stdout.Write(src)
		return err
	}
	c.AddCommand(show)
	c.AddCommand(&cobra.Command{Use: "keys", Short: "list every recipe key, its type, default and meaning", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return a.print(recipe.Keys(), func(w io.Writer) {
			for _, k := range recipe.Keys() {
				fmt.Fprintf(w, "%-24s %-24s %-12s %s\n", k.Name, k.Type, k.Default, k.Doc)
			}
		})
	}})
	return c
}
