module oracle/gen

go 1.26
