package tokenizer
import ("testing";"os";"context";"slices";"time";"strings")
func TestTmpTrain(t *testing.T){
 b,_:=os.ReadFile("/tmp/forja/T/10mb.txt"); text:=string(b)
 for _,k:=range []string{"unigram","bpe"}{
  f:=TrainUnigram; if k=="bpe"{f=TrainSentencePieceBPE}
  start:=time.Now()
  p,err:=f(context.Background(),slices.Values([]string{text}),SentencePieceOptions{VocabSize:8000,Progress:func(p TrainProgress){t.Log(time.Since(start),p)}})
  if err!=nil{t.Fatal(err)}
  d:=time.Since(start)
  n:=0
  for l:=range strings.SplitSeq(text,"\n"){ n+=p.Count(l)}
  t.Log(k,d,p.VocabSize(),n,float64(len(text))/float64(n))
  w,_:=os.Create("/tmp/forja/T/ours_"+k+".model"); WriteSentencePiece(w,p); w.Close()
 }
}
