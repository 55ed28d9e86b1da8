module scalertags

go 1.24
