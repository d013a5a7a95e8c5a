package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const assemblerSays = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'b__c' for 'sm_90a'
ptxas info    : Function properties for b__c
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 168 registers, used 1 barriers, 1024 bytes smem, 400 bytes cmem[0]
ptxas info    : Compiling entry function 'a__c' for 'sm_90a'
ptxas info    : Function properties for a__c
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, 356 bytes cmem[0]
ptxas k.ptx, line 10; warning : (C7508) setmaxnreg is ignored
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized
`

const disassemblerSays = `
.text.b__c:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 HGMMA.64x256x16.F32.BF16 R24, gdesc[UR8] ;
        /*0020*/             @UP1  UTMALDG.2D [UR4], [UR6] ;
        /*0030*/                   HGMMA.64x256x16.F32.BF16 R24, gdesc[UR8] ;
.text.a__c:
        /*0000*/                   EXIT ;
.text.unknown:
        /*0000*/                   EXIT ;
`

func TestReportsOfTheAssemblerAreRead(t *testing.T) {
	ks, warned := readAssembler(assemblerSays)
	countOpcodes(disassemblerSays, ks)
	require.Len(t, ks, 2)
	ks[1].module, ks[1].arch = "m", "sm_90a"
	assert.Equal(t, &assembled{entry: "a__c", registers: 32, instructions: 1, tensor: map[string]int{}}, ks[0])
	assert.Equal(t, "m\tb__c\tsm_90a\t168\t1024\t8\t16\t4\tHGMMA 2, UTMALDG 1", ks[1].row())
	assert.Len(t, warned, 2)
}

func TestTheTableIsComparedOnlyWithTheSameAssembler(t *testing.T) {
	tr, said := tree(t.TempDir()), []string{}
	say := func(line string) { said = append(said, line) }
	require.NoError(t, os.Mkdir(filepath.Join(string(tr), "ptx"), 0o755))
	require.NoError(t, tr.compare("version 1\nrow\n", true, say))
	assert.NoError(t, tr.compare("version 1\nrow\n", false, say))
	assert.ErrorContains(t, tr.compare("version 1\nother\n", false, say), `line 2 is "row", want "other"`)
	assert.ErrorContains(t, tr.compare("version 1\nrow\nmore\n", false, say), `line 3 is "", want "more"`)
	assert.Empty(t, said)
	assert.NoError(t, tr.compare("version 2\nother\n", false, say))
	assert.Len(t, said, 1)
}

func TestMissingToolsAreNamed(t *testing.T) {
	_, err := findTools(t.TempDir())
	assert.ErrorIs(t, err, errNoTools)
}

func TestModulesForEveryCardAreAssembledForTwo(t *testing.T) {
	assert.Equal(t, []string{"sm_80", "sm_90a"}, architectures(".version 7.0\n.target sm_80\n"))
	assert.Equal(t, []string{"sm_90a"}, architectures(".version 8.0\n.target sm_90a\n"))
}
