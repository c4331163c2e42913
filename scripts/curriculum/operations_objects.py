"""Operations that reach another object: O is the slot it stands in, F one of its slots, M one of its methods; `other`
is an argument that is an object.  The format is explained in `scripts.curriculum`.

What another object holds is changed by a message (`put`), never in place: it would not know.
"""

OPERATIONS = r"""
change O:object M:any1 value:any
M_O {M}_{in,to,from,into,at,on,with,of}_O O_M
sends the method to it with the value -> what it answers
    return self.O.M(value)

change O:object M:any0
M_O {M}_{in,to,from,at,on,of}_O O_M
sends the method to it -> what it answers
    return self.O.M()

change O:objects M:any1 value:any
{M}_{all,each,every,all_of,each_of,in_all,to_all,to_each}_O {all,every,each}_O_M
sends the method to each of them with the value -> what each answers
    return [each.M(value) for each in self.O]

change O:objects M:any0
{M}_{all,each,every,all_of,each_of,in_all}_O {all,every,each}_O_M
sends the method to each of them -> what each answers
    return [each.M() for each in self.O]

change X:num O:object F:num amount:num
{move,transfer,shift,send,pay,pass}_X_to_O {move,transfer,shift}_from_X_to_O {move,transfer,shift}_X_to_O_F {put,pay}_X_into_O
takes amount off the first and adds it to that key of the second ! amount is more than the first -> the new value there
    if amount > self.X:
        raise ValueError('there is not enough')
    self.X -= amount
    return self.O.put('F', self.O.F + amount)

change X:same other:object amount:num
{move,transfer,send,give,pay,hand}_X_to {move,transfer,give}_X {move,transfer}_from_X_to
takes amount off it and adds it to that key of the other ! amount is more than it -> the new value
    if amount > self.X:
        raise ValueError('there is not enough')
    self.X -= amount
    other.put('F', other.F + amount)
    return self.X

change X:same other:object amount:num
{take,fetch,draw,collect,receive,borrow}_X_from
takes amount off that key of the other and adds it to it ! amount is more than the other has -> the new value
    if amount > other.F:
        raise ValueError('there is not enough')
    other.put('F', other.F - amount)
    self.X += amount
    return self.X

change X:any other:object
{copy,adopt,load,inherit}_X_from {set,copy}_X_as_in same_X_as
puts that key of the other into it -> the new value
    self.X = other.F
    return self.X

ask X:same other:object
has_{more,higher,larger,greater}_X_than {more,higher,larger,greater}_X_than is_X_{more,higher,larger}_than
it is more than that key of the other
    return self.X > other.F

ask X:same other:object
has_{less,lower,smaller}_X_than {less,lower,smaller}_X_than is_X_{less,lower,smaller}_than
it is less than that key of the other
    return self.X < other.F

ask X:any other:object
has_{same,equal,the_same}_X_as is_X_{same_as,equal_to,the_same_as}
it and that key of the other are the same
    return self.X == other.F

read X:same other:object
X_{together,combined,in_total,plus}_with {total,combined,joint}_X_with
it plus that key of the other
    return self.X + other.F

read X:same other:object
X_{difference,gap,distance}_to {difference,gap}_in_X_to
how far it is from that key of the other
    return abs(self.X - other.F)
"""
