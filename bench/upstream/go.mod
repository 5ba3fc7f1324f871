module ostiary.example/bench/upstream

go 1.21
