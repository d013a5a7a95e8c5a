package cuda

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cuda/ptx"
)

// The table of kernels has every entry of every module, as its PTX declares it.
func TestTheTableOfKernelsIsThePTXs(t *testing.T) {
	var want []kernelInfo
	for _, module := range ptx.Modules() {
		text, err := ptx.Module(module)
		require.NoError(t, err)
		ks, err := ptx.Kernels(text)
		require.NoError(t, err)
		for _, k := range ks {
			want = append(want, kernelInfo{module, k.Entry, k.Target, k.Threads, k.Cluster, k.Size()})
		}
	}
	assert.Equal(t, want, kernelTable[:])
}

// Each method of the launcher takes the parameters of its family in order, and packs them in order, by the method for
// their type.
func TestLaunchesPackParametersInOrder(t *testing.T) {
	families := map[string][]string{} // types of the parameters, by a name without underscores
	for _, module := range ptx.Modules() {
		text, err := ptx.Module(module)
		require.NoError(t, err)
		ks, err := ptx.Kernels(text)
		require.NoError(t, err)
		for _, k := range ks {
			family, _, _ := strings.Cut(k.Entry, "__")
			types := []string{}
			for _, p := range k.Params {
				types = append(types, p.Type)
			}
			families[strings.ToLower(strings.ReplaceAll(family, "_", ""))] = types
		}
	}
	pack := map[string]string{"ptr": "ptr", "int32": "i32", "uint32": "u32", "int64": "i64", "uint64": "u64", "float32": "f32", "tensormap": "tensorMap"}

	f, err := parser.ParseFile(token.NewFileSet(), "launches.go", nil, 0)
	require.NoError(t, err)
	methods := 0
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		methods++
		types, ok := families[strings.ToLower(fn.Name.Name)]
		require.True(t, ok, fn.Name.Name)
		var names []string
		for _, field := range fn.Type.Params.List {
			for _, name := range field.Names {
				names = append(names, name.Name)
			}
		}
		require.Len(t, names, len(types)+3, fn.Name.Name)
		calls := fn.Body.List[1 : len(fn.Body.List)-1] // between begin and launch
		require.Len(t, calls, len(types), fn.Name.Name)
		for i, stmt := range calls {
			call := stmt.(*ast.ExprStmt).X.(*ast.CallExpr)
			assert.Equal(t, pack[types[i]], call.Fun.(*ast.SelectorExpr).Sel.Name, "%s, parameter %d", fn.Name.Name, i)
			assert.Equal(t, names[i+3], call.Args[0].(*ast.Ident).Name, "%s, parameter %d", fn.Name.Name, i)
		}
	}
	assert.Equal(t, len(families), methods)
}
